"""JSON Merge Patch (RFC 7396) on decoded JSON."""

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` as changed by `patch`; the arguments stay as they are (RFC 7396 §2).

    It keeps a stack of its own: a patch may be nested deeper than Python's calls can.
    """
    if not isinstance(patch, dict):
        return patch
    result = _members(target)
    pending = [(result, patch)]
    while pending:
        merged, changes = pending.pop()
        for name, value in changes.items():
            if value is None:
                merged.pop(name, None)
            elif isinstance(value, dict):
                merged[name] = _members(merged.get(name))
                pending.append((merged[name], value))
            else:
                merged[name] = value
    return result


def _members(target: Any) -> dict[str, Any]:
    """Return a copy of an object's members; other values have none."""
    return dict(target) if isinstance(target, dict) else {}
