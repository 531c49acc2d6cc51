/** Every call to Stash that we make: operations of the plugin, its tasks, and its settings. */

import type {
  InstalledQuery,
  JobFragment,
  JobsSubscription,
  OperateMutation,
  OperateMutationVariables,
  QueueQuery,
  RunTaskMutation,
  RunTaskMutationVariables,
  SaveSettingsMutation,
  SaveSettingsMutationVariables,
  SettingsQuery,
  StopJobMutation,
  StopJobMutationVariables,
} from "../api/stash";
import type { components } from "../api/worker";
import { operation } from "./documents";
import { PLUGIN_ID, stash } from "./plugin_api";

export type Shapes = components["schemas"];
export type Modes = Shapes["Modes"];
export type Mode = keyof Modes;
export type StashJob = JobFragment;

/** What went wrong, in the plugin's or Stash's own words. */
export class SenseError extends Error {
  override name = "SenseError";

  /** Whether the task Set up would mend it: the door's own words for that. */
  get needsSetUp(): boolean {
    return this.message.endsWith("run the task Set up");
  }
}

function reason(error: unknown): SenseError {
  return error instanceof SenseError
    ? error
    : new SenseError(error instanceof Error ? error.message : String(error));
}

/** Ask the worker for one thing. Raises SenseError. */
export async function operate<M extends Mode>(
  mode: M,
  asked: Modes[M]["asked"],
): Promise<Modes[M]["told"]> {
  try {
    const { data } = await stash()
      .utils.StashService.getClient()
      .mutate<OperateMutation, OperateMutationVariables>({
        mutation: operation("Operate"),
        variables: { plugin: PLUGIN_ID, args: { ...asked, mode } },
        fetchPolicy: "no-cache",
      });
    const told = data?.runPluginOperation;
    if (told === null || typeof told !== "object") {
      throw new SenseError(`Stash Sense gave no answer to ${mode}: see Stash's log`);
    }
    return told as Modes[M]["told"];
  } catch (error) {
    throw reason(error);
  }
}

/** Put one of the plugin's tasks into Stash's queue; return its job's id there. */
export async function runTask(
  mode: string,
  description: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  try {
    const { data } = await stash()
      .utils.StashService.getClient()
      .mutate<RunTaskMutation, RunTaskMutationVariables>({
        mutation: operation("RunTask"),
        variables: { plugin: PLUGIN_ID, description, args: { ...args, mode } },
      });
    return data?.runPluginTask ?? "";
  } catch (error) {
    throw reason(error);
  }
}

/** Stop a job of Stash's queue. */
export async function stopTask(job: string): Promise<void> {
  try {
    await stash()
      .utils.StashService.getClient()
      .mutate<StopJobMutation, StopJobMutationVariables>({
        mutation: operation("StopJob"),
        variables: { job },
      });
  } catch (error) {
    throw reason(error);
  }
}

/** Return what Stash's queue holds now. */
export async function queue(): Promise<StashJob[]> {
  try {
    const { data } = await stash()
      .utils.StashService.getClient()
      .query<QueueQuery>({ query: operation("Queue"), fetchPolicy: "no-cache" });
    return data.jobQueue ?? [];
  } catch (error) {
    throw reason(error);
  }
}

export type JobNews = JobsSubscription["jobsSubscribe"];

/** Hear of Stash's jobs until the returned function is called. */
export function hearJobs(
  hear: (news: JobNews) => void,
  lost: (why: SenseError) => void,
): () => void {
  const subscription = stash()
    .utils.StashService.getClient()
    .subscribe<JobsSubscription>({ query: operation("Jobs") })
    .subscribe({
      next: ({ data }) => {
        if (data) hear(data.jobsSubscribe);
      },
      error: (error: unknown) => lost(reason(error)),
    });
  return () => subscription.unsubscribe();
}

/** Return the version of the plugin that Stash has now; undefined where it does not say. */
export async function installedVersion(): Promise<string | undefined> {
  try {
    const { data } = await stash()
      .utils.StashService.getClient()
      .query<InstalledQuery>({ query: operation("Installed"), fetchPolicy: "no-cache" });
    return data.plugins?.find((each) => each.id === PLUGIN_ID)?.version ?? undefined;
  } catch {
    return undefined;
  }
}

/** Return what the user set, as Stash stores it: only what was ever set. */
export async function readSettings(): Promise<Record<string, unknown>> {
  try {
    const { data } = await stash()
      .utils.StashService.getClient()
      .query<SettingsQuery>({ query: operation("Settings"), fetchPolicy: "no-cache" });
    return data.configuration.plugins[PLUGIN_ID] ?? {};
  } catch (error) {
    throw reason(error);
  }
}

/** Change some settings; the others stay: Stash itself replaces them all at once. */
export async function saveSettings(
  changed: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  try {
    const input = { ...(await readSettings()), ...changed };
    const client = stash().utils.StashService.getClient();
    const { data } = await client.mutate<SaveSettingsMutation, SaveSettingsMutationVariables>({
      mutation: operation("SaveSettings"),
      variables: { plugin: PLUGIN_ID, input },
    });
    refreshCopies(client);
    return data?.configurePlugin ?? input;
  } catch (error) {
    throw reason(error);
  }
}

/** Stash's own pages hold a copy of the settings; that it cannot be read anew is no fault of ours. */
function refreshCopies(
  client: ReturnType<ReturnType<typeof stash>["utils"]["StashService"]["getClient"]>,
) {
  client
    .refetchQueries({
      include: "active",
      onQueryUpdated: (query) => query.queryName === "Configuration",
    })
    .catch(() => undefined);
}
