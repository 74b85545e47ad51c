// Looking around without buying: lists, a product, what is popular, which coupons there are. Everything comes from the caches.

import { listOffers, listPopular, listProducts, lookAtProduct } from './lib/api.js';
import { anyOf, oneIn } from './lib/chance.js';
import { options as run } from './lib/load.js';
import { audit, prepare } from './lib/shop.js';

export const options = run('browse', { p99: 250 });
export const setup = () => prepare('products');
export const teardown = audit;

export default function browse(shop) {
  listProducts(0);
  lookAtProduct(anyOf(shop.products));
  if (oneIn(3)) {
    listPopular();
  }
  if (oneIn(5)) {
    listOffers();
  }
}
