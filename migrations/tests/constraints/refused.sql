UPDATE wallets SET balance = -1 -- ck_wallets_balance
UPDATE products SET price = -1 -- ck_products_price
UPDATE products SET stock = -1 -- ck_products_stock
UPDATE products SET sales_volume = -1 -- ck_products_sales_volume
UPDATE coupons SET kind = 'GIFT' WHERE id = 2 -- ck_coupons_kind
UPDATE coupons SET kind = 'fixed' WHERE id = 2 -- ck_coupons_kind
UPDATE coupons SET value = 0 -- ck_coupons_value
UPDATE coupons SET value = 10001 WHERE id = 1 -- ck_coupons_percent
UPDATE coupons SET min_order_amount = -1 -- ck_coupons_min_order_amount
UPDATE coupons SET max_discount = 0 -- ck_coupons_max_discount
UPDATE coupons SET claim_ends_at = claim_starts_at -- ck_coupons_claim_window
UPDATE coupons SET valid_days = 0 -- ck_coupons_valid_days
UPDATE coupons SET total_quantity = 0 WHERE id = 2 -- ck_coupons_total_quantity
UPDATE coupons SET issued_quantity = 11 -- ck_coupons_issued_quantity
UPDATE coupons SET issued_quantity = -1 -- ck_coupons_issued_quantity
UPDATE user_coupons SET status = 'LOST' WHERE id = 2 -- ck_user_coupons_status
UPDATE user_coupons SET ticket = 0 WHERE id = 2 -- ck_user_coupons_ticket
UPDATE user_coupons SET used_at = NULL WHERE id = 1 -- ck_user_coupons_used_at
UPDATE user_coupons SET used_at = claimed_at WHERE id = 2 -- ck_user_coupons_used_at
UPDATE orders SET status = 'LOST' -- ck_orders_status
UPDATE orders SET total_amount = -1, discount_amount = 0, paid_amount = -1 -- ck_orders_total_amount
UPDATE orders SET total_amount = 0, discount_amount = -1, paid_amount = 1 -- ck_orders_discount_amount
UPDATE orders SET total_amount = 0, discount_amount = 1, paid_amount = -1 -- ck_orders_paid_amount
UPDATE orders SET paid_amount = 181 -- ck_orders_payable
UPDATE coupon_history SET action = 'LOST' -- ck_coupon_history_action
UPDATE order_items SET unit_price = -1, subtotal = -1 -- ck_order_items_unit_price
UPDATE order_items SET quantity = 0, subtotal = 0 -- ck_order_items_quantity
UPDATE order_items SET subtotal = 99 -- ck_order_items_subtotal
UPDATE payments SET method = 'CARD' -- ck_payments_method
UPDATE payments SET amount = -1 -- ck_payments_amount
UPDATE payments SET status = 'LOST' -- ck_payments_status
UPDATE payment_history SET from_status = 'LOST' -- ck_payment_history_from_status
UPDATE payment_history SET to_status = 'LOST' -- ck_payment_history_to_status
UPDATE ledger_entries SET kind = 'LOST' -- ck_ledger_entries_kind
UPDATE ledger_entries SET amount = 0 -- ck_ledger_entries_amount
UPDATE ledger_entries SET balance_after = -1 -- ck_ledger_entries_balance_after
UPDATE stock_movements SET kind = 'LOST' -- ck_stock_movements_kind
UPDATE stock_movements SET quantity = 0 -- ck_stock_movements_quantity
UPDATE stock_movements SET stock_after = -1 -- ck_stock_movements_stock_after
UPDATE hourly_sales SET quantity = -1 -- ck_hourly_sales_quantity
UPDATE outbox SET aggregate = 'cart' -- ck_outbox_aggregate
UPDATE outbox SET sequence = 0 -- ck_outbox_sequence
UPDATE outbox SET status = 'LOST' -- ck_outbox_status
UPDATE id_blocks SET next_id = 0 -- ck_id_blocks_next_id
UPDATE job_leases SET fence = 0 -- ck_job_leases_fence
UPDATE users SET email = 'kim@example.com' WHERE id = 2 -- uq_users_email
INSERT INTO stores VALUES (2, 'Main', '2026-11-21 09:00:00', '2026-11-21 09:00:00', NULL, 1) -- uq_stores_name
UPDATE coupons SET code = 'TENTH' WHERE id = 2 -- uq_coupons_code
UPDATE user_coupons SET user_id = 1 WHERE id = 2 -- uq_user_coupons_user_id_coupon_id
UPDATE user_coupons SET ticket = 1 WHERE id = 2 -- uq_user_coupons_coupon_id_ticket
UPDATE order_items SET product_id = 1 WHERE line_no = 2 -- pk_order_items
INSERT INTO outbox VALUES (2, 'order', 1, 1, 'order.paid', '{}', 'PENDING', 0, '2026-11-21 10:00:00', '2026-11-21 10:00:00', NULL) -- uq_outbox_aggregate_aggregate_id_sequence
INSERT INTO job_leases VALUES ('expire-coupons', 'shop-2', 2, '2026-11-21 10:02:00') -- pk_job_leases
UPDATE wallets SET user_id = 2 -- fk_ledger_entries_user_id
UPDATE products SET store_id = 9 -- fk_products_store_id
UPDATE user_coupons SET user_id = 9 WHERE id = 2 -- fk_user_coupons_user_id
UPDATE user_coupons SET coupon_id = 9 WHERE id = 2 -- fk_user_coupons_coupon_id
UPDATE orders SET user_id = 9 -- fk_orders_user_id
UPDATE orders SET user_coupon_id = 9 -- fk_orders_user_coupon_id
UPDATE coupon_history SET user_coupon_id = 9 -- fk_coupon_history_user_coupon_id
UPDATE coupon_history SET order_id = 9 -- fk_coupon_history_order_id
UPDATE order_items SET order_id = 9 WHERE line_no = 1 -- fk_order_items_order_id
DELETE FROM orders -- fk_
INSERT INTO wallets VALUES (9, 0, '2026-11-21 09:00:00', NULL) -- fk_wallets_user_id
INSERT INTO payments VALUES (9, 'POINT', 180, 'COMPLETED', NULL, '2026-11-21 10:00:00', NULL, NULL) -- fk_payments_order_id
INSERT INTO payment_history VALUES (9, 1, 'PENDING', 'COMPLETED', NULL, '2026-11-21 10:00:00') -- fk_payment_history_order_id
UPDATE ledger_entries SET user_id = 2 -- fk_ledger_entries_user_id
UPDATE stock_movements SET product_id = 9 -- fk_stock_movements_product_id
UPDATE hourly_sales SET product_id = 9 -- fk_hourly_sales_product_id
UPDATE coupon_gates SET last_ticket = first_ticket - 2 -- ck_coupon_gates_tickets
UPDATE coupon_gates SET first_ticket = 0 WHERE first_ticket = 3 -- ck_coupon_gates_first_ticket
UPDATE coupon_gates SET coupon_id = 9 WHERE first_ticket = 3 -- fk_coupon_gates_coupon_id
INSERT INTO coupon_gates VALUES (1, 3, 5, '2026-11-21 10:00:00') -- pk_coupon_gates
UPDATE returned_tickets SET ticket = 0 -- ck_returned_tickets_ticket
UPDATE returned_tickets SET coupon_id = 9 -- fk_returned_tickets_coupon_id
INSERT INTO returned_tickets VALUES (1, 3, '2026-11-21 10:00:00') -- pk_returned_tickets
UPDATE variants SET price = -1 -- ck_variants_price
UPDATE variants SET stock = -1 -- ck_variants_stock
UPDATE variants SET name = 'Small' -- uq_variants_product_id_name
UPDATE variants SET product_id = 9 -- fk_variants_product_id
UPDATE product_images SET sequence = 0 -- ck_product_images_sequence
UPDATE product_images SET product_id = 9 -- fk_product_images_product_id
INSERT INTO product_images VALUES (1, 1, 'https://images.example.com/plum.jpg', '2026-11-21 09:00:00') -- pk_product_images
UPDATE cart_items SET quantity = 0 -- ck_cart_items_quantity
UPDATE cart_items SET variant_id = 1 -- uq_cart_items_user_id_product_id_variant_id
UPDATE cart_items SET user_id = 9 WHERE id = 1 -- fk_cart_items_user_id
UPDATE cart_items SET product_id = 9 WHERE id = 1 -- fk_cart_items_product_id
INSERT INTO order_holds VALUES (1, '2026-11-21 10:15:00') -- pk_order_holds
INSERT INTO order_holds VALUES (9, '2026-11-21 10:15:00') -- fk_order_holds_order_id
