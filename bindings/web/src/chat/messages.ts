// What was said in a group, as it stands now: edits, deletions and reactions are entries of their own.

import type { GroupMessage } from "@medipeps/client";

export interface Said {
  readonly message: GroupMessage;
  /** After the last edit. */
  readonly text: string;
  readonly edited: boolean;
  readonly deleted: boolean;
  /** By emoji, who gave it. */
  readonly reactions: ReadonlyMap<string, readonly string[]>;
}

/** The oldest first. An edit or deletion counts if it is by whoever wrote the message; a person has one reaction to each. */
export function standing(entries: readonly GroupMessage[]): readonly Said[] {
  const inOrder = [...entries].sort((a, b) => a.number - b.number);
  const said = new Map<string, { message: GroupMessage; text: string; edited: boolean; deleted: boolean; by: Map<string, string> }>();
  for (const message of inOrder) {
    const { body } = message;
    if (body.kind === "text" || body.kind === "other") {
      said.set(message.id, { message, text: body.text, edited: false, deleted: false, by: new Map() });
      continue;
    }
    const about = said.get(body.message);
    if (about === undefined || message.state === "failed") {
      continue;
    }
    if (body.kind === "reaction") {
      if (body.emoji === undefined) {
        about.by.delete(message.sender);
      } else {
        about.by.set(message.sender, body.emoji);
      }
    } else if (about.message.sender === message.sender) {
      about.deleted ||= body.kind === "delete";
      if (body.kind === "edit") {
        about.text = body.text;
        about.edited = true;
      }
    }
  }
  return [...said.values()].map(({ by, ...rest }) => ({ ...rest, reactions: byEmoji(by) }));
}

function byEmoji(by: ReadonlyMap<string, string>): Map<string, string[]> {
  const reactions = new Map<string, string[]>();
  for (const [person, emoji] of by) {
    reactions.set(emoji, [...(reactions.get(emoji) ?? []), person]);
  }
  return reactions;
}
