/* A whole journey with the types that openapi-typescript has made of the schema; run by test_clients.py.
   The hub's address and a token come in HUB and HUB_TOKEN. */
import createClient from "openapi-fetch";
import { randomUUID } from "node:crypto";
import { strict as assert } from "node:assert";
import process from "node:process";

import type { components, paths } from "./hub.js";

const hub = createClient<paths>({
  baseUrl: process.env.HUB,
  headers: { Authorization: `Token ${process.env.HUB_TOKEN}` },
});

function given<Data>(answer: { data?: Data; error?: { code: string; display_message: string } }): Data {
  if (answer.data === undefined) {
    throw new Error(`${answer.error?.code}: ${answer.error?.display_message}`);
  }
  return answer.data;
}

const connections = given(await hub.GET("/api/v1/brokerage/connections")).results;
const connection = connections.find((row) => row.broker === "schwab" && row.state === "connected");
assert.ok(connection);

const begin = {
  body: { connection: connection.id },
  params: { header: { "Idempotency-Key": randomUUID() } },
};
const started = await hub.POST("/api/v1/brokerage/sync", begin);
const again = await hub.POST("/api/v1/brokerage/sync", begin);
assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
assert.deepEqual(given(again), given(started));
const id = given(started).runs[0].id;

let version: string | undefined;
let syncing = true;
while (syncing) {
  const query = { run: id, wait: 25, version };
  const status = given(await hub.GET("/api/v1/brokerage/sync/status", { params: { query } }));
  ({ version, syncing } = status);
}
const run = given(await hub.GET("/api/v1/brokerage/sync/runs/{run_id}", { params: { path: { run_id: id } } }));
assert.equal(run.state, "succeeded");

const accounts = given(await hub.GET("/api/v1/brokers/accounts")).results;
const own = accounts.filter((account) => account.connection?.id === connection.id);
assert.ok(own.length > 0);
const positions = given(await hub.GET("/api/v1/brokers/positions", { params: { query: { account: own[0].id } } }));
assert.ok(Array.isArray(positions.results));
const listed = given(await hub.GET("/api/v1/brokerage/transactions", { params: { query: { limit: 500 } } }));
assert.ok(listed.results.length > 0);

type Row = components["schemas"]["Transaction"];
const copy = new Map<number, Row>();
let cursor = "";
let more = true;
while (more) {
  const query = { cursor };
  const changes = given(await hub.GET("/api/v1/brokerage/transactions/changes", { params: { query } }));
  for (const row of [...changes.added, ...changes.modified]) copy.set(row.id, row);
  for (const gone of changes.removed) copy.delete(gone);
  ({ next_cursor: cursor, has_more: more } = changes);
}
assert.ok(listed.results.every((row) => copy.has(row.id)));

const missing = await hub.GET("/api/v1/brokerage/sync/runs/{run_id}", { params: { path: { run_id: 0 } } });
assert.equal(missing.error?.code, "not_found");
console.log(`${own.length} accounts, ${copy.size} transactions`);
