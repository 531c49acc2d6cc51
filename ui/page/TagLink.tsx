import React from "react";
import { Badge } from "react-bootstrap";
import { Link } from "react-router-dom";
import type { Named } from "./documents";
import { component } from "./patch";

export const TagLink = component<{ tag: Named }>("TagLink", ({ tag }) => (
  <Badge className="tag-item tag-link" variant="secondary">
    <Link to={`/tags/${tag.id}`}>{tag.name}</Link>
  </Badge>
));
