/** The door to the server: queries over HTTP, subscriptions over a WebSocket. */
import {
  ApolloClient,
  type FieldReadFunction,
  HttpLink,
  InMemoryCache,
  split,
  type TypePolicies,
} from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { getMainDefinition } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import { SCAN_COMPLETE } from "./documents";

const ADDRESS = new URL("graphql", document.baseURI);

/** What was read in a list serves the page of the one thing too. */
const known =
  (type: string): FieldReadFunction =>
  (existing, { args, canRead, toReference }) =>
    canRead(existing) ? existing : toReference({ __typename: type, id: args?.id });

/** A reference to what is gone reads as nothing. */
const orNothing: FieldReadFunction = (existing, { canRead }) =>
  existing === undefined || canRead(existing) ? existing : null;

const typePolicies: TypePolicies = {
  Query: {
    fields: Object.fromEntries(
      ["Scene", "Image", "Performer", "Studio", "Tag"].map((type) => [
        `find${type}`,
        { read: known(type) },
      ]),
    ),
  },
  Scene: { fields: { studio: { read: orNothing } } },
};

function webSocketAddress(): string {
  const address = new URL(ADDRESS);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

const sockets = new GraphQLWsLink(
  createClient({
    url: webSocketAddress(),
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
  }),
);

const link = split(
  ({ query }) => {
    const definition = getMainDefinition(query);
    return definition.kind === "OperationDefinition" && definition.operation === "subscription";
  },
  sockets,
  new HttpLink({ uri: ADDRESS.href }),
);

export const client = new ApolloClient({
  link,
  cache: new InMemoryCache({
    typePolicies,
    possibleTypes: {
      BaseFile: ["VideoFile", "ImageFile", "GalleryFile"],
      VisualFile: ["VideoFile", "ImageFile"],
    },
  }),
});

client.subscribe({ query: SCAN_COMPLETE }).subscribe({ next: () => void client.resetStore() });
