"""Nothing that a user wrote is ever more than text, and nothing comes from elsewhere."""

import unittest
from urllib.parse import urlsplit

from tests.helpers.browser import BrowserTestCase

CORPUS = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "\"><svg onload=window.hit=1>",
    "'><iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
    "javascript:window.hit=1",
    "<a href=javascript:window.hit=1 autofocus onfocus=window.hit=1>x</a>",
    "</title></textarea></template></style><script>window.hit=1</script>",
    "<style>@import '//evil.invalid/x.css'; * { display: none }</style>",
    "<base href=//evil.invalid/>",
    "<meta http-equiv=refresh content='0;url=//evil.invalid'>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=window.hit=1>",
    "<form action=//evil.invalid><button>Go on</button></form>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.hit=1>\">",
    "{{constructor.constructor('window.hit=1')()}} ${window.hit=1} <%= hit %>",
    "&lt;script&gt;window.hit=1&lt;/script&gt; &amp; &#60;b&#62;",
    "data:text/html,<script>window.hit=1</script>",
    "\u202eevil\u202c \u2066 \ufeff \u200b zero width",
    "<!--><script>window.hit=1</script>-->",
    "]]><script>window.hit=1</script>",
    "\x01\x02\x1b[31m\x7f\x9b \ud7ff \ufffe",
    "__proto__", "constructor", "' OR 1=1 --", "../../etc/passwd", "%3Cscript%3E", "🌻 e\u0301 ﷽",
)


class TextTest(BrowserTestCase):

    def test_whatever_a_user_wrote_is_shown_as_it_was_written(self) -> None:
        for text in CORPUS:
            self.create(text, description=text)
        page = self.open(viewport={"width": 1000, "height": 4000})
        self.see(page.locator("#list li")).to_have_count(len(CORPUS))
        for part in ("title", "description"):
            shown = page.locator(f"#list [data-part={part}]").all_text_contents()
            self.assertEqual(shown, list(reversed(CORPUS)))
        inside = page.locator("#list *").evaluate_all("(all) => [...new Set(all.map((each) => each.localName))].sort()")
        self.assertEqual(inside, ["button", "div", "input", "label", "li", "p", "svg", "use"])
        self.assertIsNone(page.evaluate("window.hit ?? null"))

    def test_whatever_is_edited_compared_and_announced_is_text(self) -> None:
        for text in CORPUS[:8]:
            with self.subTest(text):
                path = self.create(text)
                page = self.open()
                page.get_by_label("Search").fill(text)
                row = page.locator("#list li").first
                self.see(row.locator("button.title")).to_have_text(text)
                row.locator("button.title").click()
                row.get_by_role("textbox", name="Title").fill(f"{text}!")
                self.ask("PATCH", path, {"title": f"{text}?"})
                self.see(row).to_contain_text("Somebody changed this task meanwhile.")
                page.keyboard.press("Enter")
                dialog = page.get_by_role("alertdialog")
                self.see(dialog).to_contain_text(f"{text}!")
                self.see(dialog).to_contain_text(f"{text}?")
                dialog.get_by_role("button", name="Keep mine").click()
                self.see_saved(page)
                self.tick(page, f"{text}!").click()
                self.see(page.locator("#toast")).to_contain_text("Done: “" + text[:20])
                self.assertIsNone(page.evaluate("window.hit ?? null"))
                self.ask("DELETE", path)

    def test_address_is_text_too(self) -> None:
        page = self.open("/?q=%3Cimg%20src%3Dx%20onerror%3Dwindow.hit%3D1%3E&sort=<script>&show=constructor")
        self.see(page.get_by_label("Search")).to_have_value("<img src=x onerror=window.hit=1>")
        self.assertIsNone(page.evaluate("window.hit ?? null"))


class PolicyTest(BrowserTestCase):

    expected_complaints = ("This document requires 'Trusted", "Executing inline", "Applying inline",
                           "Refused to", "Loading the image", "Connecting to", "Fetch API cannot load")

    def test_browser_refuses_what_the_policy_does_not_have(self) -> None:
        page = self.open()
        violations = page.evaluate("""async () => {
            const violations = [];
            addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
            const tried = (what) => { try { what(); } catch (error) { return error.name; } };
            const html = tried(() => { document.body.innerHTML = "<b>x</b>"; });
            const script = document.createElement("script");
            const text = tried(() => { script.text = "window.hit = 1"; });
            const element = document.createElement("div");
            tried(() => element.setAttribute("style", "color: red"));
            document.body.append(element);
            const image = document.createElement("img");
            image.src = "data:image/png;base64,";
            const elsewhere = await fetch("http://127.0.0.2:9/").catch((error) => error.name);
            await new Promise((done) => setTimeout(done));
            return {html, text, elsewhere, violations: [...new Set(violations)].sort()};
        }""")
        self.assertEqual(violations, {
            "html": "TypeError", "text": "TypeError", "elsewhere": "TypeError",
            "violations": ["connect-src", "img-src", "require-trusted-types-for", "style-src-attr"]})
        self.assertIsNone(page.evaluate("window.hit ?? null"))

    def test_nothing_is_asked_of_anybody_else(self) -> None:
        page = self.open(live=False)
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page.reload()
        self.see_live(page)
        self.assertEqual(asked, {f"localhost:{self.port}"})


if __name__ == "__main__":
    unittest.main()
