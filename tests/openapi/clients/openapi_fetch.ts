// A client system with the types that openapi-typescript made: it asks for a token, previews, sends and reads.
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi_typescript/schema";

type NotificationRequest = components["schemas"]["NotificationRequest"];

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}

function notification(sample: string, recipient: string): NotificationRequest {
  const fields = { sample_id: sample, attributes: [] };
  const channel = { type: "EMAIL" as const, recipients: [recipient], subject: "Sample", fields };
  return { channels: [{ ...channel, template_id: "ACCESSIONING_FAILURE" }] };
}

async function main(): Promise<void> {
  const client = createClient<paths>({ baseUrl: given("CARILLON_URL") });
  const token = await client.POST("/oauth/token", {
    body: {
      grant_type: "client_credentials",
      client_id: given("CLIENT_ID"),
      client_secret: given("CLIENT_SECRET"),
    },
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
  });
  if (token.data === undefined) throw new Error(JSON.stringify(token.error));
  const headers = { Authorization: `Bearer ${token.data.access_token}` };

  const sample = given("SAMPLE");
  const preview = await client.POST("/registry/v1/templates/{template_id}/preview", {
    params: { path: { template_id: "ACCESSIONING_FAILURE" } },
    body: { fields: { sample_id: sample, attributes: [] } },
    headers,
  });
  if (preview.data === undefined) throw new Error(JSON.stringify(preview.error));

  const sent = await client.POST("/notifications/v1", {
    params: { header: { "Idempotency-Key": `openapi-fetch-${sample}` } },
    body: notification(sample, "LAB_STAKEHOLDERS"),
    headers,
  });
  if (sent.data === undefined) throw new Error(JSON.stringify(sent.error));
  const path = { notification_id: sent.data.notification_id };
  const read = await client.GET("/notifications/v1/{notification_id}", { params: { path }, headers });
  if (read.data === undefined) throw new Error(JSON.stringify(read.error));
  const refused = await client.POST("/notifications/v1", { body: notification(sample, "NOBODY_HERE"), headers });
  if (refused.error === undefined) throw new Error("It was taken.");

  const told = {
    previewed: preview.data.text,
    sent: sent.data.notification_id,
    read: read.data.notification_id,
    status: read.data.status,
    channels: read.data.channels.map((channel) => channel.type),
    refused: refused.error.code,
  };
  console.log(JSON.stringify(told));
}

void main();
