/** Loads what the plugins bring: their styles, and their scripts in the order that they require. */
import { useQuery } from "@apollo/client";
import React, { useEffect, useState } from "react";
import { Spinner } from "react-bootstrap";
import { PLUGINS, type Plugin } from "./documents";
import { patchable } from "./patch";

/** Where plugins put their routes. */
export const PluginRoutes = patchable<{ children?: React.ReactNode }>(
  "PluginRoutes",
  ({ children }) => <>{children}</>,
);

/** Each after those that it requires. */
export function inOrder(plugins: readonly Plugin[]): Plugin[] {
  const sorted: Plugin[] = [];
  const visit = (plugin: Plugin, above: readonly string[]) => {
    if (above.includes(plugin.id)) throw new Error(`closed chain: ${plugin.id} requires itself`);
    if (sorted.includes(plugin)) return;
    for (const required of plugins.filter(({ id }) => plugin.requires?.includes(id))) {
      visit(required, [...above, plugin.id]);
    }
    sorted.push(plugin);
  };
  for (const plugin of plugins) visit(plugin, []);
  return sorted;
}

function addScript(address: string): Promise<void> {
  const script = document.createElement("script");
  script.src = address;
  script.async = false;
  script.defer = true;
  const loaded = new Promise<void>((done) => {
    script.addEventListener("load", () => done());
    // What cannot be loaded does not keep the others out.
    script.addEventListener("error", () => done());
  });
  document.head.append(script);
  return loaded;
}

function addStyle(address: string): void {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.type = "text/css";
  link.href = address;
  document.head.append(link);
}

async function load(plugins: readonly Plugin[]): Promise<void> {
  const enabled = inOrder(plugins).filter((plugin) => plugin.enabled);
  for (const style of new Set(enabled.flatMap(({ paths }) => paths.css ?? []))) addStyle(style);
  const scripts = new Set(enabled.flatMap(({ paths }) => paths.javascript ?? []));
  await Promise.all([...scripts].map(addScript));
}

/** Draws the rest of the page when every script has run or failed. */
export function PluginsLoader({ children }: { children?: React.ReactNode }) {
  const { data, error } = useQuery(PLUGINS);
  const [loaded, setLoaded] = useState(false);
  const [begun, setBegun] = useState(false);
  const plugins = data?.plugins;
  useEffect(() => {
    if (plugins === undefined || begun) return;
    setBegun(true);
    void load(plugins ?? []).then(() => setLoaded(true));
  }, [plugins, begun]);
  if (loaded || error) return <>{children}</>;
  return (
    <div className="LoadingIndicator">
      <Spinner animation="border" role="status">
        <span className="sr-only">Loading plugins...</span>
      </Spinner>
    </div>
  );
}
