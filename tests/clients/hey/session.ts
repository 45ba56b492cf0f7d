// The session of tests/clients/harness.py, by a client of hey-api.
import {client} from "./client/client.gen.ts";
import {createTask, deleteTask, getTask, listChanges, listTasks, patchTask} from "./client/index.ts";
import type {Task} from "./client/index.ts";

const {SERVICE_URL, SERVICE_TOKEN} = process.env;
client.setConfig({baseUrl: SERVICE_URL!, auth: SERVICE_TOKEN!});

function say(step: string, value: unknown): void {
  console.log(JSON.stringify([step, value]));
}

async function create(body: Task): Promise<string> {
  const {response} = await createTask({body, throwOnError: true});
  return response.headers.get("Location")!.replace("/tasks/", "");
}

async function read(id: string): Promise<{task: Task; etag: string}> {
  const {data, response} = await getTask({path: {id}, throwOnError: true});
  return {task: data, etag: response.headers.get("ETag")!};
}

async function page(cursor?: string): Promise<{titles: string[]; next: string | undefined}> {
  const {data, response} = await listTasks({
    query: {
      completed: false, priority: ["high", "urgent"], due_after: "1764115260", due_before: "2025-11-26T00:01:02Z",
      q: "milk", sort: "-due_date", limit: 1, cursor,
    },
    throwOnError: true,
  });
  const next = /<([^>]+)>/.exec(response.headers.get("Link") ?? "")?.[1];
  return {
    titles: Object.values(data).map((task) => task!.title),
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
const patched = await patchTask({
  path, headers: {"If-Match": etag, Prefer: "return=representation"}, body: {due_date: null, completed: true},
});
say("patched", patched.data);
const stale = await patchTask({path, headers: {"If-Match": etag}, body: {title: "Late"}});
say("stale", stale.error?.code);

const invalid = await createTask({body: {title: ""}});
say("invalid", [invalid.response?.status, invalid.error?.errors?.map((each) => each.pointer)]);
const missing = await getTask({path: {id: "none"}});
say("missing", [missing.response?.status, missing.error?.code]);

// An operation has one type of body here: the client's own method sends the other.
const security = [{scheme: "bearer", type: "http"}] as const;
await client.post({
  url: "/tasks", security, body: '{"title": "Bread"}\n{"title": "Butter"}\n', bodySerializer: null, parseAs: "text",
  headers: {"Content-Type": "application/x-ndjson"}, throwOnError: true,
});
const lines = await client.get<{200: string}, unknown, true>({
  url: "/tasks", security, headers: {Accept: "application/x-ndjson"}, query: {q: "b"}, parseAs: "text", throwOnError: true,
});
say("bulk", lines.data.trim().split("\n").map((line) => JSON.parse(line).task.title).filter((title) => /^B/.test(title)));

const deleted = await deleteTask({path});
const gone = await getTask({path});
say("deleted", [deleted.response?.status, gone.response?.status]);

const changes = await listChanges({query: {since: 0}});
say("changes", changes.data);
