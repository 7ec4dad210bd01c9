package etcd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"headrace/conf"
)

// Get implements conf.Store.
func (s *Store) Get(kind conf.Kind, id string) (conf.Item, error) {
	c, err := s.connect()
	if err != nil {
		return conf.Item{}, cannot("read", err)
	}
	ctx, cancel := s.request()
	defer cancel()
	r, err := c.Get(ctx, s.key(kind, id))
	if err != nil {
		return conf.Item{}, cannot("read", err)
	}
	if len(r.Kvs) == 0 {
		return conf.Item{}, conf.ErrNotFound
	}
	it, ok := s.itemOf(r.Kvs[0])
	if !ok {
		return conf.Item{}, conf.ErrNotFound
	}
	return it, nil
}

// List implements conf.Store.
func (s *Store) List(kind conf.Kind) (items []conf.Item, err error) {
	c, err := s.connect()
	if err != nil {
		return nil, cannot("read", err)
	}
	ctx, cancel := s.request()
	defer cancel()
	dir := s.dir(kind)
	if kind == conf.Plugins {
		dir = s.key(kind, "")
	}
	r, err := c.Get(ctx, dir, clientv3.WithPrefix())
	if err != nil {
		return nil, cannot("read", err)
	}
	for _, kv := range r.Kvs {
		if it, ok := s.itemOf(kv); ok && it.Kind == kind {
			items = append(items, it)
		}
	}
	slices.SortStableFunc(items, func(a, b conf.Item) int { return int(a.Created - b.Created) })
	return items, nil
}

func (s *Store) itemOf(kv *mvccpb.KeyValue) (conf.Item, bool) {
	return s.item(string(kv.Key), entry{kv.Value, kv.ModRevision, kv.CreateRevision})
}

// Put implements conf.Store.
func (s *Store) Put(it conf.Item, ttl time.Duration) (now, old conf.Item, err error) {
	return s.put(it, ttl, nil)
}

// Swap implements conf.Store. An item that is gone is ErrConflict, unless
// prevRev is 0: that asks for an item that is not there yet.
func (s *Store) Swap(it conf.Item, prevRev int64, ttl time.Duration) (now conf.Item, err error) {
	now, _, err = s.put(it, ttl, &prevRev)
	return now, err
}

// put writes an item, if its revision is still *prev when that is given.
func (s *Store) put(it conf.Item, ttl time.Duration, prev *int64) (now, old conf.Item, err error) {
	key := s.key(it.Kind, it.ID)
	if kind, id, ok := s.parse(key); !ok || kind != it.Kind || id != it.ID {
		return now, old, fmt.Errorf("cannot store an item of kind %q: it has no id that can be part of a key", it.Kind)
	}
	err = s.writing(ttl, func(ctx context.Context, c *clientv3.Client, lease clientv3.LeaseID) error {
		put := clientv3.OpPut(key, string(s.fields.seal(it.Kind, it.Raw)), clientv3.WithLease(lease), clientv3.WithPrevKV())
		txn := c.Txn(ctx)
		if prev != nil {
			txn = txn.If(clientv3.Compare(clientv3.ModRevision(key), "=", *prev))
		}
		r, err := txn.Then(put).Commit()
		if err != nil {
			return err
		}
		if !r.Succeeded {
			return conf.ErrConflict
		}
		now = it
		now.Rev, now.Created = r.Header.Revision, r.Header.Revision
		if kv := r.Responses[0].GetResponsePut().PrevKv; kv != nil {
			old, _ = s.itemOf(kv)
			now.Created = kv.CreateRevision
		}
		return nil
	})
	return now, old, err
}

// Create implements conf.Store. As APISIX does, it writes gen_id and takes the
// revision of that.
func (s *Store) Create(kind conf.Kind, ttl time.Duration, fill func(id string) ([]byte, error)) (now conf.Item, err error) {
	it := conf.Item{Kind: kind}
	err = s.writing(0, func(ctx context.Context, c *clientv3.Client, _ clientv3.LeaseID) error {
		r, err := c.Put(ctx, s.genID(), "1")
		if err == nil {
			it.ID = fmt.Sprintf("%020d", r.Header.Revision)
		}
		return err
	})
	if err != nil {
		return now, err
	}
	if it.Raw, err = fill(it.ID); err != nil {
		return now, err
	}
	return s.Swap(it, 0, ttl)
}

// Delete implements conf.Store.
func (s *Store) Delete(kind conf.Kind, id string) (old conf.Item, rev int64, err error) {
	key := s.key(kind, id)
	if k, i, ok := s.parse(key); !ok || k != kind || i != id {
		return old, 0, conf.ErrNotFound
	}
	err = s.writing(0, func(ctx context.Context, c *clientv3.Client, _ clientv3.LeaseID) error {
		r, err := c.Delete(ctx, key, clientv3.WithPrevKV())
		if err != nil {
			return err
		}
		if len(r.PrevKvs) == 0 {
			return conf.ErrNotFound
		}
		old, _ = s.itemOf(r.PrevKvs[0])
		rev = r.Header.Revision
		return nil
	})
	return old, rev, err
}

// writing calls do with a lease of the given time, 0 for none. The lease of a
// write that failed is given back.
func (s *Store) writing(ttl time.Duration, do func(ctx context.Context, c *clientv3.Client, lease clientv3.LeaseID) error) error {
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	c, err := s.connect()
	if err != nil {
		return cannot("write to", err)
	}
	ctx, cancel := s.request()
	defer cancel()
	var lease clientv3.LeaseID // none
	if ttl > 0 {
		l, err := c.Grant(ctx, int64(math.Ceil(ttl.Seconds())))
		if err != nil {
			return cannot("write to", err)
		}
		lease = l.ID
	}
	err = do(ctx, c, lease)
	if err == nil {
		return nil
	}
	if lease != clientv3.NoLease {
		_, _ = c.Revoke(ctx, lease) // it would end by itself
	}
	if errors.Is(err, conf.ErrConflict) || errors.Is(err, conf.ErrNotFound) {
		return err
	}
	return cannot("write to", err)
}
