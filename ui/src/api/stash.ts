// Made by `npm run types`.

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type JobStatus =
  | 'READY'
  | 'RUNNING'
  | 'FINISHED'
  | 'STOPPING'
  | 'CANCELLED'
  | 'FAILED';

export type JobStatusUpdateType =
  | 'ADD'
  | 'REMOVE'
  | 'UPDATE';

export type OperateMutationVariables = Exact<{
  plugin: string | number;
  args?: Record<string, unknown> | null | undefined;
}>;


export type OperateMutation = { runPluginOperation: unknown };

export type RunTaskMutationVariables = Exact<{
  plugin: string | number;
  description?: string | null | undefined;
  args?: Record<string, unknown> | null | undefined;
}>;


export type RunTaskMutation = { runPluginTask: string };

export type StopJobMutationVariables = Exact<{
  job: string | number;
}>;


export type StopJobMutation = { stopJob: boolean };

export type SaveSettingsMutationVariables = Exact<{
  plugin: string | number;
  input: Record<string, unknown>;
}>;


export type SaveSettingsMutation = { configurePlugin: Record<string, unknown> };

export type SettingsQueryVariables = Exact<{ [key: string]: never; }>;


export type SettingsQuery = { configuration: { plugins: Record<string, Record<string, unknown>> } };

export type InstalledQueryVariables = Exact<{ [key: string]: never; }>;


export type InstalledQuery = { plugins: Array<{ id: string, version: string | null }> | null };

export type QueueQueryVariables = Exact<{ [key: string]: never; }>;


export type QueueQuery = { jobQueue: Array<{ id: string, status: JobStatus, description: string, progress: number | null, error: string | null, subTasks: Array<string> | null }> | null };

export type JobsSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type JobsSubscription = { jobsSubscribe: { type: JobStatusUpdateType, job: { id: string, status: JobStatus, description: string, progress: number | null, error: string | null, subTasks: Array<string> | null } } };

export type JobFragment = { id: string, status: JobStatus, description: string, progress: number | null, error: string | null, subTasks: Array<string> | null };
