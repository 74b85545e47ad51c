// A day from midnight to midnight in a few minutes: most look around, some buy. At eight in the evening there are coupons.

import browse from './browse.js';
import cartToPaid from './cart-to-paid.js';
import charge from './charge.js';
import { milliseconds, optionsOf } from './lib/load.js';
import * as settings from './lib/settings.js';
import { audit, prepare } from './lib/shop.js';
import orderHot from './order-hot.js';
import orderSpread from './order-spread.js';
import stampede, { allClaimed, rush } from './stampede.js';

export { browse, cartToPaid, charge, orderHot, orderSpread, stampede };

/** How busy the shop is by the end of each three hours; 1 is the busiest. */
const HOURS = [0.1, 0.1, 0.4, 0.7, 0.6, 0.7, 1, 0.2];
const AVERAGE = HOURS.reduce((sum, busy) => sum + busy) / HOURS.length;
const seconds = settings.duration('2m');
const isOpen = settings.load('open') === 'open';

/** Of all that happens, the share that is this. */
function throughTheDay(exec, share, p99) {
  const most = Math.max(1, Math.round((isOpen ? settings.rate : settings.vus) * share));
  const target = (busy) => Math.max(1, Math.round(most * busy));
  const stages = HOURS.map((busy) => ({ duration: milliseconds(seconds / HOURS.length), target: target(busy) }));
  const open = {
    executor: 'ramping-arrival-rate',
    startRate: target(HOURS[0]),
    timeUnit: '1s',
    preAllocatedVUs: settings.vus,
    arrivals: AVERAGE * most * seconds,
  };
  const closed = { executor: 'ramping-vus', startVUs: target(HOURS[0]) };
  return { exec, ...(isOpen ? open : closed), stages, p99 };
}

const atEight = { ...rush, exec: 'stampede', startTime: milliseconds((seconds * 20) / 24), p99: 500 };

export const options = optionsOf(
  {
    browse: throughTheDay('browse', 0.6, 250),
    charge: throughTheDay('charge', 0.1, 500),
    'order-spread': throughTheDay('orderSpread', 0.15, 500),
    'order-hot': throughTheDay('orderHot', 0.05, 500),
    'cart-to-paid': throughTheDay('cartToPaid', 0.1, 500),
    stampede: atEight,
  },
  allClaimed('=='),
);
export const setup = () => prepare('buyers', 'newcomers', 'products', 'deal', 'coupon');
export const teardown = audit;
