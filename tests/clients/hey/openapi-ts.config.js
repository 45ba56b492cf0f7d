export default {
  input: "openapi.json",
  output: {path: "client", module: {extension: ".js"}},  // Node's own way of imports
  logs: {file: false},
};
