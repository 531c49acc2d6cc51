/** Which model said something and why, in plain words. */
import type { Shapes } from "../stash/calls";
import { many } from "./words";

type Proof = Shapes["Proof"];

/** As their makers write them; another goes by its name in the catalogue. */
const NAMES: Readonly<Record<string, string>> = {
  "clip-vit-b32": "CLIP ViT-B/32",
  "clip-vit-b32-laion": "CLIP ViT-B/32 (LAION-2B)",
  "clip-vit-l14": "CLIP ViT-L/14",
  "clip-siglip-b16-256": "SigLIP ViT-B/16",
  "clip-siglip-b16-384": "SigLIP ViT-B/16 384",
  "clip-siglip-l16-256": "SigLIP ViT-L/16",
  "dinov2-small": "DINOv2 ViT-S/14",
  "dinov2-base": "DINOv2 ViT-B/14",
  joytag: "JoyTag",
  "wd-vit-v3": "WD ViT tagger v3",
  "wd-vit-large-v3": "WD ViT tagger v3 (large)",
  "nudenet-320n": "NudeNet",
  "yolox-s": "YOLOX-S",
  "pp-ocr": "PP-OCR",
  paddleocr: "PaddleOCR",
  picture: "Plain rules, no network",
  quality: "Plain rules, no network",
};

const DETECTORS: Readonly<Record<string, string>> = {
  clip: "Scenes, by words",
  objects: "Objects",
  tagger: "Tags, by a trained network",
  text: "Text on screen",
  picture: "Facts of the picture",
  quality: "Picture quality",
  similarity: "Likeness",
  reading: "Fetching, decoding and writing",
};

/** A model's name without its version. */
export function modelName(model: string): string {
  const name = model.split("@")[0] ?? model;
  const pack = /^(pp-ocr|paddleocr)-(.+)$/.exec(name);
  if (pack) return `${NAMES[pack[1] ?? ""] ?? name} (${pack[2]})`;
  const yolo = /^yolo(v?)(\d+)([nslmx])$/.exec(name);
  if (yolo) return `YOLO${yolo[1]}${yolo[2]}${yolo[3]}`;
  return NAMES[name] ?? name;
}

/** What a detector looks for; `clip (clip-vit-b32@1)` names the model that it lacks too. */
export function detectorName(detector: string): string {
  const [, what = detector, model] = /^(.*?)(?: \((.+)\))?$/.exec(detector) ?? [];
  const name = DETECTORS[what] ?? what;
  return model ? `${name} (${modelName(model)})` : name;
}

export interface Reason {
  sentence: string;
  /** Name and version, for who wants to know exactly. */
  model: string;
}

/** What the worker keeps of frames for one suggestion at most. */
const KEPT = 5;

/** One sentence for each model that had a say, the one with the most frames first. */
export function reasons(evidence: readonly Proof[]): Reason[] {
  const groups = new Map<string, Proof[]>();
  for (const proof of evidence) {
    const key = `${proof.detector}\n${proof.model}`;
    groups.set(key, [...(groups.get(key) ?? []), proof]);
  }
  return [...groups.values()]
    .sort((a, b) => b.length - a.length)
    .map((proofs) => ({
      sentence: sentence(proofs, evidence.length >= KEPT),
      model: proofs[0]?.model ?? "",
    }));
}

function sentence(proofs: readonly Proof[], more: boolean): string {
  const [first] = proofs;
  if (first === undefined) return "";
  const name = modelName(first.model);
  const frames = `${many(proofs.length, "frame")}${more ? " or more" : ""}`;
  const texts = [...new Set(proofs.flatMap(({ text }) => (text ? [`“${text}”`] : [])))];
  if (texts.length > 0) return `${name} read ${texts.slice(0, 3).join(", ")} in ${frames}`;
  switch (first.detector) {
    case "picture":
    case "quality":
      return `Plain from the picture itself, in ${frames}`;
    case "objects":
      return `${name} found it in ${frames}`;
    case "tagger":
      return `${name} named it in ${frames}`;
    default:
      return `${name} saw it in ${frames}`;
  }
}
