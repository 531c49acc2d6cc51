/** Our GraphQL documents, each with the fragments that they share. */
import type { DocumentNode } from "@apollo/client";
import { gql } from "@apollo/client";
import text from "./documents.graphql?raw";

let all: DocumentNode | undefined;

/** Return one operation by its name. */
export function operation(name: string): DocumentNode {
  all ??= gql(text);
  const definitions = all.definitions.filter(
    (each) =>
      each.kind === "FragmentDefinition" ||
      (each.kind === "OperationDefinition" && each.name?.value === name),
  );
  const used = definitions.filter(
    (each) => each.kind !== "FragmentDefinition" || uses(definitions, each.name.value),
  );
  return { kind: all.kind, definitions: used };
}

function uses(definitions: readonly DocumentNode["definitions"][number][], fragment: string) {
  return definitions.some(
    (each) =>
      each.kind === "OperationDefinition" &&
      JSON.stringify(each.selectionSet).includes(`"${fragment}"`),
  );
}
