// The session of tests/clients/harness.py, by a client of openapi-typescript and openapi-fetch.
import createClient from "openapi-fetch";
import type {components, paths} from "./schema.ts";

type Task = components["schemas"]["Task"];
const {SERVICE_URL, SERVICE_TOKEN} = process.env;

const client = createClient<paths, "application/json">({
  baseUrl: SERVICE_URL!,
  headers: {Authorization: `Bearer ${SERVICE_TOKEN}`},
});

function say(step: string, value: unknown): void {
  console.log(JSON.stringify([step, value]));
}

async function create(body: Task): Promise<string> {
  const {response} = await client.POST("/tasks", {body});
  if (response.status !== 201) throw new Error(`created: ${response.status}`);
  return response.headers.get("Location")!.replace("/tasks/", "");
}

async function read(id: string): Promise<{task: Task; etag: string}> {
  const {data, response} = await client.GET("/tasks/{id}", {params: {path: {id}}});
  if (data === undefined) throw new Error(`read: ${response.status}`);
  return {task: data, etag: response.headers.get("ETag")!};
}

async function page(cursor?: string): Promise<{titles: string[]; next: string | undefined}> {
  const {data, response} = await client.GET("/tasks", {
    params: {
      query: {
        completed: false, priority: ["high", "urgent"], due_after: "1764115260", due_before: "2025-11-26T00:01:02Z",
        q: "milk", sort: "-due_date", limit: 1, cursor,
      },
    },
  });
  const next = /<([^>]+)>/.exec(response.headers.get("Link") ?? "")?.[1];
  return {
    titles: Object.values(data!).map((task) => task.title),
    next: next && new URL(next, SERVICE_URL).searchParams.get("cursor")!,
  };
}

const milk = await create({
  title: "Milk", description: "two bottles", priority: "high", completed: false, due_date: 1764115261,
});
const rent = await create({title: "Rent for milk", priority: "urgent", due_date: 1764115261.125});
const early = await create({title: "Früh 🥛", due_date: -9007199254740991});
const {task, etag} = await read(milk);
say("read", [task, (await read(rent)).task, (await read(early)).task]);

const first = await page();
say("pages", [first.titles, (await page(first.next)).titles]);

const path = {id: milk};
const patched = await client.PATCH("/tasks/{id}", {
  params: {path, header: {"If-Match": etag, Prefer: "return=representation"}},
  body: {due_date: null, completed: true},
});
say("patched", patched.data);
const stale = await client.PATCH("/tasks/{id}", {params: {path, header: {"If-Match": etag}}, body: {title: "Late"}});
say("stale", stale.error?.code);

const invalid = await client.POST("/tasks", {body: {title: ""}});
say("invalid", [invalid.response.status, invalid.error?.errors?.map((each) => each.pointer)]);
const missing = await client.GET("/tasks/{id}", {params: {path: {id: "none"}}});
say("missing", [missing.response.status, missing.error?.code]);

const headers = {"Content-Type": "application/x-ndjson"};
await client.POST("/tasks", {
  headers, body: '{"title": "Bread"}\n{"title": "Butter"}\n', bodySerializer: (body) => body as string, parseAs: "text",
});
const lines = await client.GET("/tasks", {
  headers: {Accept: "application/x-ndjson"}, params: {query: {q: "b"}}, parseAs: "text",
});
say("bulk", lines.data?.trim().split("\n").map((line) => JSON.parse(line).task.title).filter((title) => /^B/.test(title)));

const deleted = await client.DELETE("/tasks/{id}", {params: {path}});
const gone = await client.GET("/tasks/{id}", {params: {path}});
say("deleted", [deleted.response.status, gone.response.status]);

const changes = await client.GET("/changes", {params: {query: {since: 0}}});
say("changes", changes.data);
