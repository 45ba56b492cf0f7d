"""Three traps of Python's logging, and how to walk around them."""

import logging
import logging.config
from typing import Any

early = logging.getLogger("shop.early")  # fetched when the module is imported, before the config is read

CONFIG: dict[str, Any] = {
    "version": 1,
    "formatters": {"brief": {"format": "  %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "brief", "stream": "ext://sys.stdout"}},
    "loggers": {"shop": {"level": "INFO", "handlers": ["console"]}},
    "root": {"level": "WARNING", "handlers": ["console"]},
}

print("1. A logger that is there already, and has no section, is switched off:")
logging.config.dictConfig({**CONFIG, "loggers": {}})
early.error("lost")
print("   unless the config says disable_existing_loggers: false:")
logging.config.dictConfig({**CONFIG, "loggers": {}, "disable_existing_loggers": False})
early.error("seen")

print("2. A record goes to the handlers of its logger, and to those of the root:")
logging.config.dictConfig(CONFIG)
logging.getLogger("shop").error("twice")
print("   unless propagate is false:")
logging.config.dictConfig({**CONFIG, "loggers": {"shop": {**CONFIG["loggers"]["shop"], "propagate": False}}})
logging.getLogger("shop").error("once")

print("3. logging.info() is the root logger's, whose level and handlers are not the service's:")
logging.info("lost")
logging.getLogger("shop").info("seen")
