// Everybody buys something else: two products at random.

import { placeOrder } from './lib/api.js';
import { anyOf, anyOther } from './lib/chance.js';
import { options as run } from './lib/load.js';
import { audit, prepare } from './lib/shop.js';

export const options = run('order-spread', { p99: 500 });
export const setup = () => prepare('buyers', 'products');
export const teardown = audit;

export default function orderSpread(shop) {
  const first = anyOf(shop.products);
  placeOrder(anyOf(shop.buyers), [first, anyOther(shop.products, first)]);
}
