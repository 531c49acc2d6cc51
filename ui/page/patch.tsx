/** Patches as Stash's plugins register them: before, instead of and after a named component. */
import React from "react";

type Call = readonly unknown[];
// biome-ignore lint/suspicious/noExplicitAny: a plugin may hand over whatever it likes
type Patch = (...call: any[]) => any;
type Kind = "before" | "instead" | "after";

const patches: Record<Kind, Map<string, Patch[]>> = {
  before: new Map(),
  instead: new Map(),
  after: new Map(),
};

/** What plugins find under `PluginApi.components`. */
export const components: Record<string, unknown> = {};

function adder(kind: Kind) {
  return (name: string, patch: Patch) => {
    patches[kind].set(name, [...of(kind, name), patch]);
  };
}

function of(kind: Kind, name: string): readonly Patch[] {
  return patches[kind].get(name) ?? [];
}

export const patch = {
  before: adder("before"),
  instead: adder("instead"),
  after: adder("after"),
};

export function registerComponent(name: string, component: unknown): void {
  if (components[name] !== undefined) {
    throw new Error(`Component ${name} has already been registered`);
  }
  components[name] = component;
}

/** Call a function through its patches: what each `before` returns is the next one's arguments. */
function through(name: string, drawn: Patch, given: Call): unknown {
  let call = given;
  for (const before of of("before", name)) call = before(...call) as Call;
  let result = nextOf(of("instead", name), drawn)(...call);
  for (const after of of("after", name)) {
    // A list that was drawn is spread, so that `after` gets each of its items.
    result = after(...call.concat(result));
  }
  return result;
}

/** The first of several `instead`, each of which gets the next one as its last argument. */
function nextOf([first, ...others]: readonly Patch[], drawn: Patch): Patch {
  if (first === undefined) return drawn;
  return (...call) => first(...call, nextOf(others, drawn));
}

/** A function that plugins may patch, but that is no component of theirs to use. */
export function patchable<P>(name: string, draw: React.FC<P>): React.FC<P> {
  const call = (...given: unknown[]) => through(name, draw, given);
  return Object.assign(call as React.FC<P>, { displayName: name });
}

/** A component that plugins may patch and use. */
export function component<P>(name: string, draw: React.FC<P>): React.FC<P> {
  const patched = patchable(name, draw);
  registerComponent(name, patched);
  return patched;
}

/** A component that only holds others, so that plugins may add to them. */
export function container<P extends object>(name: string): React.FC<React.PropsWithChildren<P>> {
  return component(name, (props: React.PropsWithChildren<P>) => <>{props.children}</>);
}
