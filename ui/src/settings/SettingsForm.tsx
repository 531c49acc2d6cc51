import React from "react";

export function SettingsForm() {
  return <div />;
}
