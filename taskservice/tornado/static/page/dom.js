/**
 * The little of the DOM that the modules share. Text goes in as text, never as HTML: the page's
 * policy (`require-trusted-types-for 'script'`) has the browser refuse anything else.
 */

/**
 * Return the one element of a selector; a slip in it ends here, not somewhere later.
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {any}
 */
export function find(selector, root = document) {
  const element = root.querySelector(selector);
  if (element === null) throw new Error(`there is no ${selector}`);
  return element;
}

/** Return a copy of the element in a `<template>`. */
export function copyOf(selector) {
  return find(selector).content.firstElementChild.cloneNode(true);
}

/** Set an element's text, and leave it alone where it has that text. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute, or remove it where the value is null. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Make an element with a class and a text. */
export function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Return whether an element takes typed text, so that keys there are its own. */
export function takesText(element) {
  return element.matches?.("textarea, select, input:not([type=checkbox], [type=radio])") ?? false;
}

/** Set the focus on the list as a whole, where single keys are shortcuts still: the element that had it has gone. */
export function focusList() {
  find("#tasks").focus({preventScroll: true});
}

/** Return whether somebody may be typing, so that a focus that went elsewhere, or a question, would take the keys. */
export function isTyping({activeElement} = document) {
  return activeElement !== null && (takesText(activeElement) || activeElement.closest("form") !== null);
}
