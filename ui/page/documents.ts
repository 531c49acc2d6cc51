/** What the page asks of the server, and the shapes of what it is told. */
import { gql, type TypedDocumentNode } from "@apollo/client";

export interface Named {
  id: string;
  name: string;
}

export interface Marker {
  id: string;
  title: string;
  seconds: number;
  end_seconds: number | null;
  primary_tag: Named;
  tags: Named[];
}

export interface VideoFile {
  id: string;
  path: string;
  basename: string;
  size: number;
  duration: number;
  width: number;
  height: number;
  frame_rate: number;
  video_codec: string;
}

export interface Scene {
  id: string;
  title: string | null;
  details: string | null;
  date: string | null;
  created_at: string;
  updated_at: string;
  files: VideoFile[];
  paths: { screenshot: string | null; stream: string | null; vtt: string | null };
  scene_markers: Marker[];
  studio: (Named & { image_path: string | null }) | null;
  tags: Named[];
  performers: Named[];
}

export interface PluginSetting {
  name: string;
  display_name: string | null;
  description: string | null;
  type: "STRING" | "NUMBER" | "BOOLEAN";
}

export interface Plugin {
  id: string;
  name: string;
  description: string | null;
  version: string | null;
  enabled: boolean;
  requires: string[] | null;
  tasks: { name: string; description: string | null }[] | null;
  settings: PluginSetting[] | null;
  paths: { javascript: string[] | null; css: string[] | null };
}

export interface Job {
  id: string;
  status: "READY" | "RUNNING" | "FINISHED" | "STOPPING" | "CANCELLED" | "FAILED";
  description: string;
  progress: number | null;
  error: string | null;
  subTasks: string[] | null;
}

type Nothing = Record<string, never>;

const SCENE = gql`
  fragment SceneShown on Scene {
    id
    title
    details
    date
    created_at
    updated_at
    files {
      id
      path
      basename
      size
      duration
      width
      height
      frame_rate
      video_codec
    }
    paths {
      screenshot
      stream
      vtt
    }
    scene_markers {
      id
      title
      seconds
      end_seconds
      primary_tag {
        id
        name
      }
      tags {
        id
        name
      }
    }
    studio {
      id
      name
      image_path
    }
    tags {
      id
      name
    }
    performers {
      id
      name
    }
  }
`;

const JOB = gql`
  fragment JobShown on Job {
    id
    status
    description
    progress
    error
    subTasks
  }
`;

export const SCAN_COMPLETE = gql`
  subscription ScanCompleteSubscribe {
    scanCompleteSubscribe
  }
`;

export const PLUGINS: TypedDocumentNode<{ plugins: Plugin[] | null }, Nothing> = gql`
  query Plugins {
    plugins {
      id
      name
      description
      version
      enabled
      requires
      tasks {
        name
        description
      }
      settings {
        name
        display_name
        description
        type
      }
      paths {
        javascript
        css
      }
    }
  }
`;

type Stored = Record<string, Record<string, unknown>>;

export const CONFIGURATION: TypedDocumentNode<{ configuration: { plugins: Stored } }, Nothing> =
  gql`
  query Configuration {
    configuration {
      plugins
    }
  }
`;

export const CONFIGURE_PLUGIN: TypedDocumentNode<
  { configurePlugin: Record<string, unknown> },
  { plugin: string; input: Record<string, unknown> }
> = gql`
  mutation ConfigurePlugin($plugin: ID!, $input: Map!) {
    configurePlugin(plugin_id: $plugin, input: $input)
  }
`;

export const FIND_SCENES: TypedDocumentNode<
  { findScenes: { count: number; scenes: Scene[] } },
  { filter: { q?: string; page: number; per_page: number; sort: string; direction: string } }
> = gql`
  query FindScenes($filter: FindFilterType) {
    findScenes(filter: $filter) {
      count
      scenes {
        ...SceneShown
      }
    }
  }
  ${SCENE}
`;

export const FIND_SCENE: TypedDocumentNode<{ findScene: Scene | null }, { id: string }> = gql`
  query FindScene($id: ID!) {
    findScene(id: $id) {
      ...SceneShown
    }
  }
  ${SCENE}
`;

export const UPDATE_SCENE: TypedDocumentNode<
  { sceneUpdate: Scene | null },
  { input: { id: string; title?: string; details?: string } }
> = gql`
  mutation SceneUpdate($input: SceneUpdateInput!) {
    sceneUpdate(input: $input) {
      ...SceneShown
    }
  }
  ${SCENE}
`;

export const RUN_TASK: TypedDocumentNode<
  { runPluginTask: string },
  { plugin: string; task: string }
> = gql`
  mutation RunPluginTask($plugin: ID!, $task: String!) {
    runPluginTask(plugin_id: $plugin, task_name: $task)
  }
`;

export const STOP_JOB: TypedDocumentNode<{ stopJob: boolean }, { job: string }> = gql`
  mutation StopJob($job: ID!) {
    stopJob(job_id: $job)
  }
`;

export const JOB_QUEUE: TypedDocumentNode<{ jobQueue: Job[] | null }, Nothing> = gql`
  query JobQueue {
    jobQueue {
      ...JobShown
    }
  }
  ${JOB}
`;

export const JOBS: TypedDocumentNode<
  { jobsSubscribe: { type: "ADD" | "REMOVE" | "UPDATE"; job: Job } },
  Nothing
> = gql`
  subscription JobsSubscribe {
    jobsSubscribe {
      type
      job {
        ...JobShown
      }
    }
  }
  ${JOB}
`;
