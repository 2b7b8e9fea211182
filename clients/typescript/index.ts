import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

/** The REST API at `baseUrl` (scheme, host and port), asked with an API key. */
export const crm = (baseUrl: string, apiKey: string) =>
  createClient<paths>({ baseUrl, headers: { "X-Api-Key": apiKey } });
