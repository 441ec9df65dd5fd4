// A client system with the client that @hey-api/openapi-ts made: it asks for a token, previews, sends and reads.
import { getNotification, issueToken, previewTemplate, sendNotification } from "./hey_api/index";
import { client } from "./hey_api/client.gen";
import type { NotificationRequest } from "./hey_api/index";

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
  client.setConfig({ baseUrl: given("CARILLON_URL") });
  const token = await issueToken({
    body: {
      grant_type: "client_credentials",
      client_id: given("CLIENT_ID"),
      client_secret: given("CLIENT_SECRET"),
    },
    throwOnError: true,
  });
  client.setConfig({ baseUrl: given("CARILLON_URL"), auth: token.data.access_token });

  const sample = given("SAMPLE");
  const preview = await previewTemplate({
    path: { template_id: "ACCESSIONING_FAILURE" },
    body: { fields: { sample_id: sample, attributes: [] } },
    throwOnError: true,
  });
  const sent = await sendNotification({
    body: notification(sample, "LAB_STAKEHOLDERS"),
    headers: { "Idempotency-Key": `hey-api-${sample}` },
    throwOnError: true,
  });
  const read = await getNotification({
    path: { notification_id: sent.data.notification_id },
    throwOnError: true,
  });
  const refused = await sendNotification({ body: notification(sample, "NOBODY_HERE") });
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
