package conformance

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	chained = 10000
	levels  = 3
)

// Through a chain of groups, each of which writes to the next topic what it reads from one, every record passes once,
// while members come and go. These are the assignors that franz-go's own chains leave out.
func TestChains(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{
		"roundrobin": kgo.RoundRobinBalancer(),
		"sticky":     kgo.StickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admin := client(t)
			topics := []string{topic(t, admin, 5)}
			var stages []*stage
			for level := range levels {
				topics = append(topics, topic(t, admin, int32(3+2*level)))
				stages = append(stages, newStage(topics[level], topics[level+1], balancer))
			}
			go feed(t, topics[0])
			var all sync.WaitGroup
			for number, one := range stages {
				all.Go(func() { one.run(t, rand.New(rand.NewPCG(7, uint64(number)))) })
			}
			all.Wait()
			for _, one := range stages {
				one.check(t, admin)
			}
		})
	}
}

// feed writes the numbers below chained, some at a time, so that they are on their way while members come and go.
func feed(t *testing.T, into string) {
	sender, err := kgo.NewClient(options()...)
	if err != nil {
		t.Error(err)
		return
	}
	defer sender.Close()
	pace := time.NewTicker(25 * time.Millisecond)
	defer pace.Stop()
	for number := range chained {
		if number%50 == 0 {
			<-pace.C
		}
		record := &kgo.Record{Topic: into, Key: binary.BigEndian.AppendUint32(nil, uint32(number))}
		sender.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("feeding: %v", err)
			}
		})
	}
	if err := sender.Flush(context.Background()); err != nil {
		t.Error(err)
	}
}

// stage is one group of a chain.
type stage struct {
	from, to, group string
	balancer        kgo.GroupBalancer
	guard           sync.Mutex
	seen            map[uint32]string
	problems        []string
	count           atomic.Int64
}

func newStage(from, to string, balancer kgo.GroupBalancer) *stage {
	return &stage{from: from, to: to, group: fresh("chain"), balancer: balancer, seen: map[uint32]string{}}
}

// run has members come and go until everything has passed: some leave after a few polls and others take their places.
func (s *stage) run(t *testing.T, dice *rand.Rand) {
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	over, end := context.WithCancel(limit)
	defer end()
	var members sync.WaitGroup
	start := func(polls int) {
		members.Go(func() {
			if err := s.member(over, polls); err != nil {
				s.problem("a member: %v", err)
				end()
			}
		})
	}
	start(-1)
	for polls := []int{0, 3, -1, 1, 6}; len(polls) > 0 && over.Err() == nil; polls = polls[1:] {
		before := s.count.Load()
		start(polls[0])
		// The next comes when this many more have passed, or when there is no more to pass.
		next := min(before+int64(dice.IntN(chained/8)), chained)
		for s.count.Load() < next && over.Err() == nil {
			time.Sleep(5 * time.Millisecond)
		}
	}
	for s.count.Load() < chained && over.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	if limit.Err() != nil {
		s.problem("not done in time: %d passed", s.count.Load())
	}
	end()
	members.Wait()
}

// member passes records on, and commits what it passed before it lets go of a partition; it leaves after so many polls
// that had records, or never when negative.
func (s *stage) member(over context.Context, polls int) error {
	member, err := kgo.NewClient(options(
		kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.from), kgo.Balancers(s.balancer), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.RequireStableFetchOffsets(),
	)...)
	if err != nil {
		return err
	}
	defer member.CloseAllowingRebalance()
	for over.Err() == nil && polls != 0 {
		fetches := member.PollRecords(over, 40)
		if over.Err() != nil && fetches.NumRecords() == 0 {
			return nil
		}
		for _, problem := range fetches.Errors() {
			return problem.Err
		}
		if records := fetches.Records(); len(records) > 0 {
			polls--
			if err := s.pass(member, records); err != nil {
				return err
			}
		}
		member.AllowRebalance()
	}
	return nil
}

// pass is not cut short when the chain is done: what was read is committed.
func (s *stage) pass(member *kgo.Client, records []*kgo.Record) error {
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var onwards []*kgo.Record
	for _, record := range records {
		onwards = append(onwards, &kgo.Record{Topic: s.to, Key: record.Key})
	}
	if err := member.ProduceSync(limit, onwards...).FirstErr(); err != nil {
		return err
	}
	if err := member.CommitRecords(limit, records...); err != nil {
		return err
	}
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, record := range records {
		number, place := binary.BigEndian.Uint32(record.Key), fmt.Sprintf("%d:%d", record.Partition, record.Offset)
		if before, twice := s.seen[number]; twice {
			s.problems = append(s.problems, fmt.Sprintf("%d came from %s and from %s", number, before, place))
		}
		s.seen[number] = place
	}
	s.count.Store(int64(len(s.seen)))
	return nil
}

func (s *stage) problem(format string, words ...any) {
	s.guard.Lock()
	defer s.guard.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, words...))
}

func (s *stage) check(t *testing.T, admin *kgo.Client) {
	t.Helper()
	for _, problem := range s.problems {
		t.Errorf("%s: %s", s.group, problem)
	}
	if len(s.seen) != chained {
		t.Errorf("%s: %d of %d passed", s.group, len(s.seen), chained)
	}
	if sum := committed(t, admin, s.group, s.from); sum != chained {
		t.Errorf("%s: %d committed", s.group, sum)
	}
}
