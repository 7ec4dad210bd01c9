package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pageSize is how many keys one request asks for.
const pageSize = 500

// read returns everything below the prefix at one revision: the present one,
// or rev if that is not 0; then without values, which nobody asks for.
func (s *Store) read(ctx context.Context, rev int64) (*state, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	st := &state{rev: rev, kvs: map[string]entry{}}
	from, end := s.prefix+"/", clientv3.GetPrefixRangeEnd(s.prefix+"/")
	for {
		ops := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(st.rev)}
		if rev != 0 {
			ops = append(ops, clientv3.WithKeysOnly())
		}
		page, err := s.page(ctx, c, from, ops)
		if rev == 0 && errors.Is(err, rpctypes.ErrCompacted) {
			st, from = &state{kvs: map[string]entry{}}, s.prefix+"/" // in the middle of it
			continue
		}
		if err != nil {
			return nil, err
		}
		if st.rev == 0 {
			st.rev = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			st.kvs[string(kv.Key)] = entry{kv.Value, kv.ModRevision, kv.CreateRevision}
		}
		if !page.More || len(page.Kvs) == 0 {
			return st, nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) page(ctx context.Context, c *clientv3.Client, from string, ops []clientv3.OpOption) (*clientv3.GetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	return c.Get(ctx, from, ops...)
}

// revision asks for the present one. The answer is that of a majority: a member
// that lags behind cannot give an old one.
func (s *Store) revision(ctx context.Context) (int64, error) {
	c, err := s.connect()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(s.opts.HealthCheckTimeout, s.opts.Timeout))
	defer cancel()
	r, err := c.Get(ctx, s.genID(), clientv3.WithKeysOnly())
	if err != nil {
		return 0, err
	}
	return r.Header.Revision, nil
}

// refused tells whether etcd is there and wants nothing of us: waiting does not
// help then.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated:
		return true
	}
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		switch e.Code() {
		case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated:
			return true
		}
	}
	return false
}

// plain takes the wrapping of gRPC off an error.
func plain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK && st.Message() != "" {
		return errors.New(st.Message())
	}
	return err
}

func cannot(what string, err error) error {
	return fmt.Errorf("cannot %s etcd: %w", what, plain(err))
}
