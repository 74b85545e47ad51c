// Who, and what: drawn at random.

import exec from 'k6/execution';

export const oneIn = (times) => Math.random() * times < 1;

export const anyOf = (all) => all[Math.floor(Math.random() * all.length)];

/** Another one than that, if there is another. */
export function anyOther(all, than) {
  const at = Math.floor(Math.random() * all.length);
  return all[at] === than ? all[(at + 1) % all.length] : all[at];
}

/** The customer that this virtual user is, and no other: a cart is a customer's own. */
export const ownOf = (all) => all[exec.vu.idInTest % all.length];
