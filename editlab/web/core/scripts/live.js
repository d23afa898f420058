// A screen reader reads this part aloud when it changes.
element.setAttribute("aria-live", "polite");
