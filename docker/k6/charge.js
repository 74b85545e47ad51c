// Wallets are charged. One charge in twenty is sent twice, as by a client that lost the answer: it must count once.

import { check } from 'k6';

import { charge as put, newKey } from './lib/api.js';
import { anyOf, oneIn } from './lib/chance.js';
import { options as run } from './lib/load.js';
import { audit, prepare } from './lib/shop.js';

const AMOUNT = '10.00';

export const options = run('charge', { p99: 500 });
export const setup = () => prepare('newcomers');
export const teardown = audit;

export default function charge(shop) {
  const customer = anyOf(shop.newcomers);
  const key = newKey();
  const answer = put(customer, AMOUNT, key);
  if (answer && oneIn(20)) {
    const again = put(customer, AMOUNT, key);
    check(again, { 'a charge that is sent twice counts once': () => again && again.body === answer.body });
  }
}
