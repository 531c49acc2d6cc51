import type { IconDefinition } from "@fortawesome/fontawesome-svg-core";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React from "react";

export function Icon({ icon, className = "" }: { icon: IconDefinition; className?: string }) {
  return <FontAwesomeIcon icon={icon} className={`fa-icon ${className}`} />;
}
