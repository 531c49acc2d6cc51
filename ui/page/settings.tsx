/** What the user set, for the pages of the settings and for plugins there. */
import { useMutation, useQuery } from "@apollo/client";
import React, { createContext, useContext, useMemo } from "react";
import { CONFIGURATION, CONFIGURE_PLUGIN } from "./documents";

interface Settings {
  loading: boolean;
  plugins: Record<string, Record<string, unknown>>;
  savePluginSettings(plugin: string, values: Record<string, unknown>): void;
}

const Context = createContext<Settings | undefined>(undefined);

export function SettingsProvider({ children }: { children?: React.ReactNode }) {
  const { data, loading } = useQuery(CONFIGURATION);
  const [save] = useMutation(CONFIGURE_PLUGIN, { refetchQueries: [CONFIGURATION] });
  const plugins = data?.configuration.plugins;
  const value = useMemo<Settings>(
    () => ({
      loading,
      plugins: plugins ?? {},
      savePluginSettings: (plugin, input) => void save({ variables: { plugin, input } }),
    }),
    [loading, plugins, save],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

/** As Stash's own hook of that name: it throws outside the settings. */
export function useSettings(): Settings {
  const found = useContext(Context);
  if (found === undefined) throw new Error("useSettings is for the pages of the settings");
  return found;
}
