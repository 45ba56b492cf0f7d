// Fastify on Node: the outlook beyond Python. Its own ajv validates; sonic-boom (pino's) writes the log.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { randomUUID } = require("node:crypto");
const { SonicBoom } = require("sonic-boom");

const schema = JSON.parse(
  fs.readFileSync(path.join(__dirname, "../../schema/todoList-v1.0.json"), "utf-8"));
delete schema.$schema;
delete schema.$id;
const lean = process.env.LEAN === "1";  // as in common.py
const JSON_TYPE = "application/json; charset=UTF-8";
const log = new SonicBoom({ dest: process.env.LOG_FILE, sync: true });
const newId = () => randomUUID().replaceAll("-", "");

const tasks = new Map();
let revision = 0;
const next = (body) => {
  revision = Math.max(revision + 1, Date.now() * 1000);
  return { revision, body, etag: `"${revision}"` };
};
const matches = (field, tag) => field === "*" || field.split(",").some((each) => each.trim().replace("W/", "") === tag);

const app = require("fastify")({
  logger: false,
  ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
});

app.addHook("onRequest", (request, reply, done) => {
  request.started = performance.now();
  if (lean) return done();
  const given = request.headers["x-request-id"];
  request.reqId = given && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : newId();
  reply.header("X-Request-Id", request.reqId);
  reply.header("Cache-Control", "private, no-cache");
  reply.header("X-Content-Type-Options", "nosniff");
  done();
});

app.addHook("onResponse", (request, reply, done) => {
  const level = reply.statusCode < 400 ? "INFO" : "WARNING";
  log.write(
    `${new Date().toISOString()} peer ${level} : ${lean ? "" : `req_id="${request.reqId}" `}method="${request.method}" ` +
    `uri=${JSON.stringify(request.url)} ip="${request.ip}" message="RESPONSE" status=${reply.statusCode} ` +
    `time_ms=${performance.now() - request.started}\n`);
  done();
});

const tell = (request, reply, code, message) => reply.code(code).type(JSON_TYPE).send(JSON.stringify(
  { method: request.method, uri: request.url, code, message, req_id: request.reqId }));
app.setErrorHandler((error, request, reply) => tell(request, reply, error.statusCode ?? 500, error.message));
app.setNotFoundHandler((request, reply) => tell(request, reply, 404, "Unknown Endpoint"));

app.get("/tasks", (request, reply) => {
  reply.header("ETag", `W/"${revision}"`).header("Vary", "Accept");
  const tags = request.headers["if-none-match"];
  if (tags !== undefined && matches(tags, `"${revision}"`)) return reply.code(304).send();
  const members = [];
  for (const [id, task] of tasks) members.push(`"${id}": ${task.body}`);
  return reply.type(JSON_TYPE).send(`{${members.join(", ")}}`);
});

app.post("/tasks", { schema: { body: schema } }, (request, reply) => {
  const id = newId();
  const task = next(JSON.stringify(request.body));
  tasks.set(id, task);
  return reply.code(201).header("Location", `/tasks/${id}`).header("ETag", task.etag).send();
});

app.get("/tasks/:id", (request, reply) => {
  const task = tasks.get(request.params.id);
  if (!task) return tell(request, reply, 404, request.params.id);
  reply.header("ETag", task.etag);
  if (!lean) reply.header("Last-Modified", new Date(task.revision / 1000).toUTCString());
  const tags = request.headers["if-none-match"];
  if (tags !== undefined && matches(tags, task.etag)) return reply.code(304).send();
  return reply.type(JSON_TYPE).send(task.body);
});

app.put("/tasks/:id", { schema: { body: schema } }, (request, reply) => {
  const before = tasks.get(request.params.id);
  if (!before) return tell(request, reply, 404, request.params.id);
  const tags = request.headers["if-match"];
  if (tags !== undefined && !matches(tags, before.etag)) return tell(request, reply, 412, "has changed");
  const task = next(JSON.stringify(request.body));
  tasks.set(request.params.id, task);
  return reply.code(204).header("ETag", task.etag).send();
});

app.delete("/tasks/:id", (request, reply) => {
  if (!tasks.delete(request.params.id)) return tell(request, reply, 404, request.params.id);
  next("");
  return reply.code(204).send();
});

app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
