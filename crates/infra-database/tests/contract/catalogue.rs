//! The catalogue as administrators keep it.

use futures::future::{join, join_all};
use jangteo_application::Batcher;
use jangteo_application::adjust_stock::{Adjust, AdjustRefusal, AdjustStock, StockAfter};
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::edit_products::{
    Edit, EditProduct, EditProducts, EditRefusal, Edited, NewProduct, NewVariant, Update,
};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::product_queries::{ManagedCatalogue, ManagedList, StockChange, StockLine};
use jangteo_application::queries::{
    CatalogueQueries, Direction, Page, PageRequest, ProductList, ProductSort, Search,
};
use jangteo_application::trail::Administrator;
use jangteo_application::versions::Expected;
use jangteo_domain::catalogue::{
    AdjustmentKind, ManagedProduct, ProductChanges, ProductDetails, VariantChanges, VariantDetails,
};
use jangteo_domain::product::NotSold;
use jangteo_domain::{ProductId, StoreId, UserId, VariantId};

use crate::support::{Shop, batcher, keyed, money, order, request, unkeyed};

crate::on_both_databases! {
    a_product_is_stored_as_it_was_answered
    what_is_changed_is_written_with_the_trail
    a_retry_changes_nothing_twice
    variants_share_the_stock_of_their_product
    a_variants_name_is_taken_once_however_many_want_it
    of_two_who_saw_the_same_version_one_changes_it
    stock_is_adjusted_while_it_is_sold
    a_deleted_product_is_not_sold_and_takes_its_pieces_back
    products_are_found_by_words_store_and_stock
    stores_that_are_gone_get_no_products
}

fn by() -> Administrator {
    Administrator { user: UserId(900), trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned() }
}

fn details(name: &str, price: &str) -> ProductDetails {
    ProductDetails {
        store: StoreId(1),
        name: name.parse().unwrap(),
        description: format!("About {name}").parse().unwrap(),
        price: money(price),
        active: true,
    }
}

fn variant(name: &str, price: &str, stock: i64) -> NewVariant {
    let details = VariantDetails { name: name.parse().unwrap(), price: money(price), active: true };
    NewVariant { details, stock }
}

fn create(new: NewProduct) -> EditProduct {
    EditProduct { by: by(), edit: Edit::Create(new) }
}

fn new_product(name: &str, price: &str, stock: i64) -> NewProduct {
    NewProduct { details: details(name, price), stock, images: Vec::new(), variants: Vec::new() }
}

fn update(product: ProductId, update: Update) -> EditProduct {
    EditProduct { by: by(), edit: Edit::Update { product, expected: Expected::Any, update } }
}

async fn edit(edits: &Batcher<EditProducts>, command: EditProduct) -> Result<Edited, EditRefusal> {
    edits.submit(unkeyed(command)).await.unwrap().outcome
}

fn adjustment(product: ProductId, variant: Option<VariantId>, quantity: i64) -> Adjust {
    let (kind, reason) = (AdjustmentKind::Adjust, "counted anew".parse().unwrap());
    Adjust { by: by(), product, variant, kind, quantity, reason }
}

async fn adjust(stock: &Batcher<AdjustStock>, command: Adjust) -> Result<StockAfter, AdjustRefusal> {
    stock.submit(unkeyed(command)).await.unwrap().outcome
}

async fn managed(shop: &Shop, product: ProductId) -> ManagedProduct {
    shop.store.managed_product(product).await.unwrap().expect("it is there")
}

async fn movements(shop: &Shop, product: ProductId) -> Page<StockLine> {
    let page = PageRequest { page: 0, size: 100 };
    shop.store.stock_movements(product, page).await.unwrap().expect("it is there")
}

async fn a_product_is_stored_as_it_was_answered(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let edits = shop.batcher(EditProducts);
    let strange = ProductDetails {
        description: "It's \\ \"quoted\"\n\t%_ 설명 🧦".parse().unwrap(),
        ..details("O'Neil\\%_🧦; DROP TABLE products; --", "19900.05")
    };
    let images = ["https://example.com/b.png", "https://example.com/a.png"];
    let new = NewProduct {
        details: strange.clone(),
        stock: 0,
        images: images.map(|image| image.parse().unwrap()).to_vec(),
        variants: vec![variant("L", "21900", 12), variant("M", "19900.05", 30), variant("S", "1", 0)],
    };
    let product = edit(&edits, create(new)).await.unwrap().product;
    assert_eq!((product.id, product.stock, product.version), (ProductId(2), 42, 1));
    assert_eq!(product.details, ProductDetails { price: money("1"), ..strange });
    assert_eq!(managed(&shop, product.id).await, product);

    let detail = shop.store.product(product.id).await.unwrap().expect("it is on sale");
    assert_eq!(detail.images, images);
    let shown: Vec<_> =
        detail.variants.iter().map(|variant| (variant.name.as_str(), variant.stock)).collect();
    assert_eq!(shown, [("L", 12), ("M", 30), ("S", 0)]);
    assert_eq!((detail.product.price, detail.product.stock), (money("1"), 42));
    assert_eq!(detail.description, product.details.description.as_str());

    let moved = movements(&shop, product.id).await;
    let moved: Vec<_> =
        moved.content.iter().map(|line| (line.quantity, line.stock_after, line.variant)).collect();
    let ids: Vec<_> = product.variants.iter().map(|variant| Some(variant.id)).collect();
    assert_eq!(moved, [(30, 42, ids[1]), (12, 12, ids[0])]);
    assert_eq!(shop.store.managed_product(ProductId(99)).await.unwrap(), None);
    let page = PageRequest { page: 0, size: 1 };
    assert_eq!(shop.store.stock_movements(ProductId(99), page).await.unwrap(), None);
    shop.assert_audit_is_clean().await;
}

async fn what_is_changed_is_written_with_the_trail(shop: Shop) {
    let shop = shop.stocked(1, 1, 7, 1).await;
    let edits = shop.batcher(EditProducts);
    let id = ProductId(1);
    let own = edit(&edits, update(id, Update::AddVariant(variant("M", "5", 0)))).await;
    assert_eq!(own, Err(EditRefusal::OwnStock { stock: 7 }));
    assert_eq!(shop.count("SELECT COUNT(*) FROM admin_changes").await, 0);

    let changes = ProductChanges {
        name: Some("Sock's".parse().unwrap()),
        description: Some("two\nlines".parse().unwrap()),
        price: Some(money("12.34")),
        active: Some(false),
        ..ProductChanges::default()
    };
    let changed = edit(&edits, update(id, Update::Details(changes.clone()))).await.unwrap().product;
    assert_eq!((changed.version, changed.stock, managed(&shop, id).await), (2, 7, changed.clone()));
    assert!(shop.store.product(id).await.unwrap().is_none());
    // The same once more is no change.
    let same = edit(&edits, update(id, Update::Details(changes))).await.unwrap().product;
    assert_eq!(same, changed);

    let images: Vec<_> = (0..20).map(|n| format!("https://example.com/{n}.png").parse().unwrap()).collect();
    edit(&edits, update(id, Update::Images(images.clone()))).await.unwrap();
    let fewer = images[5..7].to_vec();
    let shown = edit(&edits, update(id, Update::Images(fewer.clone()))).await.unwrap().product;
    assert_eq!((shown.version, &shown.images, managed(&shop, id).await.images), (4, &fewer, fewer.clone()));

    let actions = "SELECT COUNT(*) FROM admin_changes WHERE subject = 'product' AND subject_id = 1 \
                   AND actor_id = 900 AND trace_id = '0af7651916cd43dd8448eb211c80319c' AND ";
    let count = async |condition: &str| shop.count(&format!("{actions}{condition}")).await;
    assert_eq!(
        count("action = 'change-product' AND before_json LIKE '%Product 1%' AND after_json LIKE '%Sock''s%'")
            .await,
        1
    );
    assert_eq!(count("action = 'set-images'").await, 2);
    edit(&edits, update(id, Update::Delete)).await.unwrap();
    assert_eq!(
        count("action = 'delete-product' AND before_json IS NOT NULL AND after_json IS NULL").await,
        1
    );
    assert_eq!(edit(&edits, update(id, Update::Delete)).await, Err(EditRefusal::Deleted));
    assert_eq!(edit(&edits, update(ProductId(99), Update::Delete)).await, Err(EditRefusal::Unknown));
    assert_eq!(shop.count("SELECT COUNT(*) FROM admin_changes").await, 4);
    shop.assert_audit_is_clean().await;
}

async fn a_retry_changes_nothing_twice(shop: Shop) {
    let shop = shop.stocked(1, 1, 7, 1).await;
    let (edits, stock) = (shop.batcher(EditProducts), shop.batcher(AdjustStock));
    let first = edits.submit(keyed(create(new_product("Socks", "5", 3)), "a")).await.unwrap();
    let again = edits.submit(keyed(create(new_product("Socks", "5", 3)), "a")).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.outcome, again.outcome);
    assert!(edits.submit(keyed(create(new_product("Socks", "5", 4)), "a")).await.is_err());
    assert_eq!(shop.count("SELECT COUNT(*) FROM products").await, 2);
    for quantity in [-3, -9] {
        let key = format!("b{quantity}");
        let first = stock.submit(keyed(adjustment(ProductId(1), None, quantity), &key)).await.unwrap();
        let again = stock.submit(keyed(adjustment(ProductId(1), None, quantity), &key)).await.unwrap();
        assert_eq!((first.replayed, again.replayed), (false, true));
        assert_eq!(first.outcome, again.outcome);
    }
    assert_eq!(managed(&shop, ProductId(1)).await.stock, 4);
    shop.assert_audit_is_clean().await;
}

async fn variants_share_the_stock_of_their_product(shop: Shop) {
    let shop = shop.stocked(1, 1, 0, 1).await;
    let (edits, stock) = (shop.batcher(EditProducts), shop.batcher(AdjustStock));
    let id = ProductId(1);
    let medium = edit(&edits, update(id, Update::AddVariant(variant("M", "9", 4)))).await.unwrap();
    let large = edit(&edits, update(id, Update::AddVariant(variant("L", "12", 0)))).await.unwrap();
    let (medium, large) = (medium.variant.unwrap(), large.variant.unwrap());
    assert_eq!(adjust(&stock, adjustment(id, None, 1)).await, Err(AdjustRefusal::VariantNeeded));
    let short = AdjustRefusal::Short { requested: 1, available: 0 };
    assert_eq!(adjust(&stock, adjustment(id, Some(large), -1)).await, Err(short));
    let all = join_all(
        (0..10).map(|n| adjust(&stock, adjustment(id, Some(if n % 2 == 0 { medium } else { large }), n + 1))),
    );
    assert!(all.await.iter().all(Result::is_ok));
    let product = managed(&shop, id).await;
    let stocks: Vec<i64> = product.variants.iter().map(|variant| variant.stock).collect();
    assert_eq!((product.stock, product.version, stocks), (59, 3, vec![29, 30]));
    assert_eq!(product.details.price, money("9"));
    let inactive = VariantChanges { active: Some(false), ..VariantChanges::default() };
    let changed = edit(&edits, update(id, Update::Variant(medium, inactive))).await.unwrap().product;
    assert_eq!((changed.details.price, changed.stock), (money("12"), 59));
    assert_eq!(managed(&shop, id).await, changed);
    let detail = shop.store.product(id).await.unwrap().expect("it is on sale");
    assert_eq!(detail.variants.iter().map(|variant| variant.id).collect::<Vec<_>>(), [large]);
    let moved = movements(&shop, id).await;
    assert_eq!((moved.total, moved.content[0].stock_after), (11, 59));
    assert_eq!(moved.content[0].change, StockChange::Adjust);
    assert_eq!(moved.content[0].reason.as_deref(), Some("counted anew"));
    let trail = "SELECT COUNT(*) FROM admin_changes WHERE action = 'adjust-stock' AND after_json LIKE '%counted anew%'";
    assert_eq!(shop.count(trail).await, 10);
    shop.assert_audit_is_clean().await;
}

async fn a_variants_name_is_taken_once_however_many_want_it(shop: Shop) {
    let shop = shop.stocked(1, 1, 0, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(EditProducts), batcher(&other, EditProducts));
    let wanted = join_all((0..16).map(|n| {
        let edits = if n % 2 == 0 { &here } else { &there };
        edit(edits, update(ProductId(1), Update::AddVariant(variant("M", "9", 1))))
    }));
    let outcomes = wanted.await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(EditRefusal::NameTaken)).count(), 15);
    let product = managed(&shop, ProductId(1)).await;
    assert_eq!((product.variants.len(), product.stock, product.version), (1, 1, 2));
    shop.assert_audit_is_clean().await;
}

async fn of_two_who_saw_the_same_version_one_changes_it(shop: Shop) {
    let shop = shop.stocked(1, 1, 5, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(EditProducts), batcher(&other, EditProducts));
    for round in 1..=5 {
        let change = |name: &str| {
            let changes = ProductChanges { name: Some(name.parse().unwrap()), ..ProductChanges::default() };
            let (expected, update) = (Expected::OneOf(vec![round]), Update::Details(changes));
            EditProduct { by: by(), edit: Edit::Update { product: ProductId(1), expected, update } }
        };
        let (one, two) = (format!("One {round}"), format!("Two {round}"));
        let (one, two) = join(edit(&here, change(&one)), edit(&there, change(&two))).await;
        let stale = Err(EditRefusal::Stale { version: round + 1 });
        let product = managed(&shop, ProductId(1)).await;
        assert_eq!(product.version, round + 1);
        match one {
            Ok(one) => assert_eq!((one.product, two), (product, stale)),
            one => assert_eq!((one, two.unwrap().product), (stale, product)),
        }
    }
    shop.assert_audit_is_clean().await;
}

async fn stock_is_adjusted_while_it_is_sold(shop: Shop) {
    let shop = shop.stocked(4, 2, 20, 1).await;
    let other = shop.second_instance().await;
    let orders = shop.batcher(PlaceOrders);
    let (here, there) = (shop.batcher(AdjustStock), batcher(&other, AdjustStock));
    let buying = join_all((0..40).map(|n| order(&orders, request(1 + n % 4, &[(1, 1), (2, 1)], None))));
    let adjusting = join_all((0..20).map(|n| {
        let stock = if n % 2 == 0 { &here } else { &there };
        adjust(stock, adjustment(ProductId(1 + n % 2), None, if n < 10 { -3 } else { 2 }))
    }));
    let (bought, adjusted) = join(buying, adjusting).await;
    let sold = bought.iter().filter(|reply| reply.as_ref().unwrap().outcome.is_ok()).count();
    for refused in adjusted.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert!(matches!(refused, AdjustRefusal::Short { .. }), "{refused:?}");
    }
    let (one, two) = (managed(&shop, ProductId(1)).await, managed(&shop, ProductId(2)).await);
    assert_eq!((one.sales_volume, two.sales_volume), (sold as i64, sold as i64));
    assert!(one.version == 1 && one.stock >= 0 && two.stock >= 0);
    shop.assert_audit_is_clean().await;
}

async fn a_deleted_product_is_not_sold_and_takes_its_pieces_back(shop: Shop) {
    let shop = shop.stocked(1, 1, 5, 1).await;
    let (orders, edits) = (shop.batcher(PlaceOrders), shop.batcher(EditProducts));
    let paid = order(&orders, request(1, &[(1, 2)], None)).await.unwrap().outcome.unwrap().order;
    edit(&edits, update(ProductId(1), Update::Delete)).await.unwrap();
    let refusal = order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.unwrap_err();
    assert_eq!(refusal.not_sold, [(ProductId(1).into(), NotSold::UnknownProduct)]);
    let stock = shop.batcher(AdjustStock);
    assert_eq!(adjust(&stock, adjustment(ProductId(1), None, 1)).await, Err(AdjustRefusal::Deleted));
    let cancel = Cancel { order: paid, by: UserId(1), administrator: None, reason: None };
    assert!(shop.batcher(CancelOrders).submit(unkeyed(cancel)).await.unwrap().outcome.is_ok());
    assert_eq!(managed(&shop, ProductId(1)).await.stock, 5);
    shop.assert_audit_is_clean().await;
}

async fn products_are_found_by_words_store_and_stock(shop: Shop) {
    let shop = shop.stocked(1, 1, 0, 1).await;
    let edits = shop.batcher(EditProducts);
    shop.tamper("INSERT INTO stores (id, name, created_at, updated_at, version) SELECT 2, 'Other', created_at, updated_at, 1 FROM stores WHERE id = 1").await;
    let elsewhere = ProductDetails { store: StoreId(2), ..details("100%_ Wool Socks", "5") };
    for new in [
        new_product("Wool hat", "7", 2),
        NewProduct { details: elsewhere, ..new_product("Socks", "5", 0) },
        new_product("100 Percent", "9", 1),
    ] {
        edit(&edits, create(new)).await.unwrap();
    }
    let list = ProductList {
        search: None,
        store: None,
        in_stock: None,
        page: PageRequest { page: 0, size: 10 },
        sort: ProductSort::Price,
        direction: Direction::Ascending,
    };
    let find = async |list: ProductList| {
        let page = shop.store.products(list).await.unwrap();
        let ids: Vec<i64> = page.content.iter().map(|product| product.id.0).collect();
        assert_eq!(page.total, ids.len() as u64);
        ids
    };
    let words = |text: &str| ProductList { search: Search::words_of(text), ..list.clone() };
    assert_eq!(find(words("wOOL")).await, [3, 2]);
    assert_eq!(find(words("about wool")).await, [3, 2]);
    assert_eq!(find(words("wool hat")).await, [2]);
    assert_eq!(find(words("100%")).await, [3]);
    assert_eq!(find(words("0%_ w")).await, [3]);
    assert_eq!(find(words("_")).await, [3]);
    for none in ["\\", "'", "!", "nothing like it", "%%"] {
        assert_eq!(find(words(none)).await, [0; 0], "{none}");
    }
    assert_eq!(find(ProductList { store: Some(StoreId(2)), ..list.clone() }).await, [3]);
    assert_eq!(find(ProductList { store: Some(StoreId(3)), ..list.clone() }).await, [0; 0]);
    assert_eq!(find(ProductList { in_stock: Some(true), ..list.clone() }).await, [2, 4]);
    assert_eq!(find(ProductList { in_stock: Some(false), ..words("a") }).await, [3]);

    edit(&edits, update(ProductId(2), Update::Delete)).await.unwrap();
    let inactive = ProductChanges { active: Some(false), ..ProductChanges::default() };
    edit(&edits, update(ProductId(3), Update::Details(inactive))).await.unwrap();
    assert_eq!(find(words("wool")).await, [0; 0]);
    let everything = ManagedList {
        search: None,
        store: None,
        active: None,
        deleted: false,
        page: list.page,
        sort: list.sort,
        direction: list.direction,
    };
    let find = async |list: ManagedList| {
        let page = shop.store.managed_products(list).await.unwrap();
        let ids: Vec<i64> = page.content.iter().map(|product| product.id.0).collect();
        assert_eq!(page.total, ids.len() as u64);
        ids
    };
    assert_eq!(find(everything.clone()).await, [3, 4, 1]);
    assert_eq!(find(ManagedList { deleted: true, ..everything.clone() }).await, [2]);
    assert_eq!(find(ManagedList { active: Some(false), ..everything.clone() }).await, [3]);
    assert_eq!(
        find(ManagedList { active: Some(true), store: Some(StoreId(2)), ..everything.clone() }).await,
        [0; 0]
    );
    assert_eq!(find(ManagedList { search: Search::words_of("wool"), ..everything }).await, [3]);
    shop.assert_audit_is_clean().await;
}

async fn stores_that_are_gone_get_no_products(shop: Shop) {
    let shop = shop.stocked(1, 1, 0, 1).await;
    let edits = shop.batcher(EditProducts);
    let moved = |store| {
        let changes = ProductChanges { store: Some(StoreId(store)), ..ProductChanges::default() };
        update(ProductId(1), Update::Details(changes))
    };
    assert_eq!(edit(&edits, moved(2)).await, Err(EditRefusal::UnknownStore));
    shop.tamper("INSERT INTO stores (id, name, created_at, updated_at, deleted_at, version) SELECT 2, 'Other', created_at, updated_at, created_at, 1 FROM stores WHERE id = 1").await;
    assert_eq!(edit(&edits, moved(2)).await, Err(EditRefusal::UnknownStore));
    let elsewhere = ProductDetails { store: StoreId(2), ..details("Socks", "5") };
    let new = NewProduct { details: elsewhere, ..new_product("Socks", "5", 0) };
    assert_eq!(edit(&edits, create(new)).await, Err(EditRefusal::UnknownStore));
    shop.tamper("UPDATE stores SET deleted_at = NULL").await;
    assert_eq!(edit(&edits, moved(2)).await.unwrap().product.details.store, StoreId(2));
    assert_eq!(managed(&shop, ProductId(1)).await.details.store, StoreId(2));
    shop.assert_audit_is_clean().await;
}
