/** A Stash for component tests: the real Apollo client over answers that a test hands in. */
import {
  ApolloClient,
  ApolloLink,
  type FetchResult,
  InMemoryCache,
  Observable,
} from "@apollo/client";
import { render } from "@testing-library/react";
import { GraphQLError } from "graphql";
import React from "react";
import ReactDOM from "react-dom";
import { MemoryRouter } from "react-router-dom";
import type { JobNews, Mode, Modes, StashJob } from "../src/stash/calls";
import type { StashPluginApi } from "../src/stash/plugin_api";

type Args = Record<string, unknown>;
type Answers = { [M in Mode]?: (asked: Modes[M]["asked"]) => Modes[M]["told"] };

export class FakeStash {
  /** By mode, what the worker answers; what it throws is Stash's error. */
  answers: Answers;
  settings: Record<string, unknown> = {};
  /** Why its settings can be neither read nor saved now; empty where they can. */
  refusing = "";
  /** The version of the plugin that it has; empty where it does not say. */
  version = "";
  /** The calls of the plugin, in order: its mode and arguments. */
  readonly calls: { mode: string; args: Record<string, unknown> }[] = [];
  /** The tasks that were put into the queue. */
  readonly tasks: { mode: string; description: string; args: Record<string, unknown> }[] = [];
  readonly stopped: string[] = [];
  readonly toasts: string[] = [];
  jobs: StashJob[] = [];
  /** Whether no news of its jobs reaches the pages, as behind a proxy without websockets. */
  silent = false;
  /** By a document's name, what Stash's own pages are answered. */
  readonly own: Record<string, (variables: Record<string, unknown>) => Record<string, unknown>> =
    {};
  readonly patches: Record<string, ((...args: unknown[]) => unknown)[]> = {};
  readonly routes: Record<string, React.ComponentType<never>> = {};
  /** The calls whose replies stay on their way, and until when. */
  private readonly held: { mode: Mode; of(args: Args): boolean; gate: Promise<void> }[] = [];
  private readonly listeners = new Set<(news: JobNews) => void>();

  constructor(answers: Answers = {}) {
    this.answers = answers;
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: new ApolloLink(({ operationName, variables }) => this.answer(operationName, variables)),
    });
    const patch = (kind: string) => (name: string, patched: (...args: never[]) => unknown) => {
      const key = `${kind} ${name}`;
      this.patches[key] = [
        ...(this.patches[key] ?? []),
        patched as (...args: unknown[]) => unknown,
      ];
    };
    window.PluginApi = {
      register: {
        route: (path, component) => {
          this.routes[path] = component;
        },
      },
      patch: { before: patch("before"), instead: patch("instead"), after: patch("after") },
      utils: { StashService: { getClient: () => client } },
      hooks: {
        useToast: () => ({
          success: (message) => void this.toasts.push(words(message)),
          error: (error) => void this.toasts.push(`error: ${String(error)}`),
        }),
      },
    } as StashPluginApi;
  }

  /** Tell the pages that something happened in Stash's queue. */
  tell(type: JobNews["type"], job: Partial<StashJob> & { id: string }): void {
    const whole: StashJob = {
      status: "RUNNING",
      description: "",
      progress: null,
      error: null,
      subTasks: null,
      ...this.jobs.find((each) => each.id === job.id),
      ...job,
    };
    this.jobs = this.jobs.filter((each) => each.id !== job.id);
    if (type !== "REMOVE") this.jobs.push(whole);
    if (!this.silent) for (const listener of this.listeners) listener({ type, job: whole });
  }

  /** What is asked so is done, but the replies stay on their way until what is returned is called. */
  holds(mode: Mode, of: (args: Args) => boolean = () => true): () => void {
    let arrive = () => {};
    const gate = new Promise<void>((done) => {
      arrive = done;
    });
    this.held.push({ mode, of, gate });
    return arrive;
  }

  private answer(name: string, variables: Record<string, unknown>): Observable<FetchResult> {
    if (name === "Jobs") {
      return new Observable<FetchResult>((observer) => {
        const listener = (news: JobNews) => observer.next({ data: { jobsSubscribe: news } });
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
      });
    }
    return new Observable<FetchResult>((observer) => {
      // As over a network: never in the same turn.
      const timer = setTimeout(async () => {
        const result = this.result(name, variables);
        const args = (variables.args ?? {}) as Args;
        await this.held.find(({ mode, of }) => args.mode === mode && of(args))?.gate;
        observer.next(result);
        observer.complete();
      });
      return () => clearTimeout(timer);
    });
  }

  private result(name: string, variables: Record<string, unknown>): FetchResult {
    try {
      return { data: this.data(name, variables) };
    } catch (error) {
      return { errors: [new GraphQLError((error as Error).message)] };
    }
  }

  private data(name: string, variables: Record<string, unknown>): Record<string, unknown> {
    const given = variables.args as Record<string, unknown> | undefined;
    switch (name) {
      case "Operate": {
        const { mode, ...args } = given as { mode: Mode } & Record<string, unknown>;
        this.calls.push({ mode, args });
        const answer = this.answers[mode] as ((asked: unknown) => unknown) | undefined;
        if (answer === undefined) throw new Error(`There is no mode '${mode}' in this test`);
        return { runPluginOperation: answer(args) };
      }
      case "RunTask": {
        const { mode, ...args } = given as { mode: string };
        const description = String(variables.description);
        this.tasks.push({ mode, description, args });
        const id = String(this.tasks.length);
        this.tell("ADD", { id, status: "READY", description });
        return { runPluginTask: id };
      }
      case "StopJob":
        this.stopped.push(String(variables.job));
        return { stopJob: true };
      case "Queue":
        return { jobQueue: this.jobs };
      case "Installed":
        return { plugins: [{ id: "stash-sense", version: this.version || null }] };
      case "Settings":
        if (this.refusing) throw new Error(this.refusing);
        return { configuration: { plugins: { "stash-sense": this.settings } } };
      case "SaveSettings":
        if (this.refusing) throw new Error(this.refusing);
        // As over a network: what is undefined is not there.
        this.settings = JSON.parse(JSON.stringify(variables.input)) as Record<string, unknown>;
        return { configurePlugin: this.settings };
      default:
        if (this.own[name]) return this.own[name](variables);
        throw new Error(`This Stash knows no ${name}`);
    }
  }
}

/** What a message says, whatever it is drawn with. */
function words(message: React.ReactNode): string {
  const drawn = document.createElement("div");
  ReactDOM.render(<MemoryRouter>{message}</MemoryRouter>, drawn);
  const text = drawn.textContent ?? "";
  ReactDOM.unmountComponentAtNode(drawn);
  return text;
}

/** Draw something of ours at an address of Stash. */
export function show(element: React.ReactElement, at = "/plugins/stash-sense") {
  return render(<MemoryRouter initialEntries={[at]}>{element}</MemoryRouter>);
}
