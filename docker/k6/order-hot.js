// Everybody wants the same: the deal of the day, and something else with it. With STOCK=1000 it sells out on the way.

import { placeOrder } from './lib/api.js';
import { anyOf, anyOther } from './lib/chance.js';
import { options as run } from './lib/load.js';
import { audit, prepare } from './lib/shop.js';

export const options = run('order-hot', { p99: 500 });
export const setup = () => prepare('buyers', 'products', 'deal');
export const teardown = audit;

export default function orderHot(shop) {
  placeOrder(anyOf(shop.buyers), [shop.deal, anyOther(shop.products, shop.deal)]);
}
