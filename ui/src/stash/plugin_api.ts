/** What Stash gives its plugins, as far as we use it, and who we are there. */
import type { ApolloClient } from "@apollo/client";
import type { ComponentType, ReactElement, ReactNode } from "react";

type Rest = readonly unknown[];
/** Takes a component's props and whatever else it was called with, and returns all of it. */
type Before<P> = (props: P, ...rest: Rest) => [P, ...unknown[]];
/** The last of `rest` is the next one to call: another plugin may have dropped what is before it. */
type Instead<P> = (props: P, ...rest: Rest) => ReactElement | null;
/** The last of `rest` is what was drawn. */
type After<P> = (props: P, ...rest: Rest) => ReactNode;

export interface Toast {
  success(message: ReactNode): void;
  error(error: unknown): void;
}

export interface StashPluginApi {
  register: { route(path: string, component: ComponentType<never>): void };
  patch: {
    before<P>(name: string, before: Before<P>): void;
    instead<P>(name: string, instead: Instead<P>): void;
    after<P>(name: string, after: After<P>): void;
  };
  utils: {
    StashService: {
      getClient(): ApolloClient<unknown>;
    };
    InteractiveUtils?: unknown;
  };
  hooks: {
    useToast(): Toast;
    /** Inside Stash's own settings alone: elsewhere it throws. */
    useSettings?(): {
      savePluginSettings(plugin: string, all: Record<string, unknown>): void;
    };
  };
}

declare global {
  interface Window {
    PluginApi: StashPluginApi;
  }
}

/** Read as the script runs: later nobody knows which one it was. */
const address = (document.currentScript as HTMLScriptElement | null)?.src ?? "";

/** The plugin's id is what its file is called where it is installed. */
export const PLUGIN_ID = pluginId(address);

/** The part of the page's address before Stash's own paths: a proxy may put it below a folder. */
export const BASE = new URL(document.baseURI).pathname.replace(/\/$/, "");

export function pluginId(script: string): string {
  const found = /\/plugin\/([^/]+)\/javascript/.exec(script);
  const id = found?.[1];
  if (id === undefined) return "stash-sense";
  try {
    return decodeURIComponent(id);
  } catch {
    // A percent sign of its own.
    return id;
  }
}

export function stash(): StashPluginApi {
  return window.PluginApi;
}
