/** What the page shows, as its address says it. */

import { ROUTE } from "../pages/route";

export type View = "tag" | "scene" | "refused";
export type Kind = "tag" | "studio" | "performer";

export interface Place {
  by: View;
  /** The name under review; empty for the list of names alone. */
  tag: string;
  kind: Kind;
}

const VIEWS: readonly string[] = ["tag", "scene", "refused"] satisfies View[];
const KINDS: readonly string[] = ["tag", "studio", "performer"] satisfies Kind[];

/** Read an address; what it does not say, or says wrong, is the first view. */
export function placeOf(search: string): Place {
  const said = new URLSearchParams(search);
  const by = said.get("by") ?? "";
  const kind = said.get("kind") ?? "";
  return {
    by: VIEWS.includes(by) ? (by as View) : "tag",
    tag: said.get("tag") ?? "",
    kind: KINDS.includes(kind) ? (kind as Kind) : "tag",
  };
}

/** Where a link to it leads, on whatever page that stands. */
export function addressOf(place: Partial<Place>): { pathname: string; search: string } {
  return { pathname: ROUTE, search: searchOf(place) };
}

function searchOf({ by, tag, kind }: Partial<Place>): string {
  const said = new URLSearchParams();
  said.set("by", by ?? "tag");
  if (tag) said.set("tag", tag);
  if (tag && kind && kind !== "tag") said.set("kind", kind);
  return `?${said}`;
}
