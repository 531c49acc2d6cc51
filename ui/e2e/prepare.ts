/** One library for all tests: another one after each that fails would take a minute more. */
import { Library, prepare, start } from "./stash";

/** Named in the environment, which the processes that run the tests are given. */
export const ADDRESS = "SENSE_ADDRESS";

export default async function ready(): Promise<(() => Promise<void>) | undefined> {
  const named = process.env.SENSE_STASH?.replace(/\/$/, "");
  const started = named ? undefined : await start();
  const url = named ?? started?.url ?? "";
  process.env[ADDRESS] = url;
  try {
    await prepare(new Library(url));
  } catch (error) {
    await started?.end();
    throw error;
  }
  return started?.end;
}
