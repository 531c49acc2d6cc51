import React from "react";

export function ReviewPage() {
  return <div />;
}
