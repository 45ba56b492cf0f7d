/** The gap that a row leaves closes shortly: what was below it slides to its place. */

const SLIDE = {duration: 160, easing: "ease-out"};

/** What moves farther, as where many rows leave at once, is there at once. */
const FARTHEST = 400;

/**
 * Note where elements are; return what slides those that are higher by then. With reduced motion
 * nothing slides.
 * @param {Iterable<HTMLElement>} elements
 */
export function collapse(elements) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return () => {};
  const places = [...elements].map((element) => [element, topOf(element)]);
  return () => {
    const moved = places.filter(([element]) => element.isConnected)
      .map(([element, top]) => [element, top - topOf(element)]);
    for (const [element, distance] of moved) {
      if (distance < 1 || distance > FARTHEST) continue;
      element.animate([{transform: `translateY(${distance}px)`}, {transform: "none"}], SLIDE);
    }
  };
}

function topOf(element) {
  return element.getBoundingClientRect().top;
}
