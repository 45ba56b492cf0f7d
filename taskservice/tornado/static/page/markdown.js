/** Links in what people write: Markdown's, and addresses as such. Only http, https and mailto. */

const LINK = /\[([^\]\n]+)\]\(((?:https?:\/\/|mailto:)[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)|(https?:\/\/[^\s<>"]+)/giu;
const AFTERWARDS = /[.,;:!?'"»”)\]]+$/u;

/**
 * Split a text into what is a link and what is not.
 * @returns {{text: string, href: string | null}[]}
 */
export function linksIn(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const [all, label, address] = match;
    const bare = label === undefined ? withoutEnd(all) : all;
    if (match.index > from) parts.push({text: text.slice(from, match.index), href: null});
    parts.push({text: label ?? bare, href: address ?? bare});
    from = match.index + bare.length;
  }
  if (from < text.length) parts.push({text: text.slice(from), href: null});
  return parts;
}

/** Return an address without the punctuation after it, but with parentheses of its own. */
function withoutEnd(address) {
  const bare = address.replace(AFTERWARDS, "");
  const open = bare.split("(").length - bare.split(")").length;
  return open > 0 && address[bare.length] === ")" ? `${bare})` : bare;
}
