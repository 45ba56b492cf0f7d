// Shows the service's own document; nothing is loaded from elsewhere.
const HERE = "/";  // the service puts its http.base-path in front
const dark = matchMedia("(prefers-color-scheme: dark)");

function followColors() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);  // Swagger UI's own name
}

followColors();
dark.addEventListener("change", followColors);

const ui = SwaggerUIBundle({
  dom_id: "#docs",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete() {
    // The token that the page has in this tab (static/page/access.js); "Authorize" takes another.
    const token = sessionStorage.getItem(`taskservice${HERE.slice(0, -1)}.token`);
    if (token !== null) ui.preauthorizeApiKey("bearer", token);
  },
});
