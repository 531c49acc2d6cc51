/** Where our pages stand. Stash itself serves what is below /plugin/, without an s. */
export const ROUTE = "/plugins/stash-sense";
