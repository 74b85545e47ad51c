// A few coupons, and everybody wants one: each customer once, and a quarter of them again. Whoever comes late is refused.

import exec from 'k6/execution';

import { claim } from './lib/api.js';
import { options as run } from './lib/load.js';
import * as settings from './lib/settings.js';
import { audit, prepare } from './lib/shop.js';

/** As fast as answers come, until everybody has one. */
export const rush = {
  executor: 'shared-iterations',
  vus: settings.vus,
  iterations: Math.ceil(settings.users * 1.25),
  maxDuration: '10m',
};

/** Not one more than there are, and not one less once everybody has asked. What is left of a given coupon is not known here. */
export function allClaimed(relation) {
  const count = Math.min(settings.coupons, settings.users);
  return settings.coupon ? {} : { coupons_claimed: [`count${relation}${count}`] };
}

const isOpen = settings.load('closed') === 'open';

export const options = run('stampede', {
  p99: 500,
  scenario: isOpen ? undefined : rush,
  thresholds: allClaimed(isOpen ? '<=' : '=='),
});
export const setup = () => prepare('newcomers', 'coupon');
export const teardown = audit;

export default function stampede(shop) {
  claim(shop.newcomers[exec.scenario.iterationInTest % shop.newcomers.length], shop.coupon);
}
