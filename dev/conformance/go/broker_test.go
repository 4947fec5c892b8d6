// Package conformance holds tests that drive a broker with franz-go. The broker is at the address in KGO_SEEDS.
package conformance

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What does not happen within this time does not happen.
const patience = 90 * time.Second

var names atomic.Int64

// fresh gives a name that nobody has used.
func fresh(hint string) string {
	return fmt.Sprintf("%s-%d-%d", hint, os.Getpid(), names.Add(1))
}

// options adds the broker's address. A topic is listed before it takes records: that is waited for.
func options(more ...kgo.Opt) []kgo.Opt {
	return append(more, kgo.SeedBrokers(os.Getenv("KGO_SEEDS")), kgo.UnknownTopicRetries(-1))
}

// client makes a client that is closed with the test.
func client(t *testing.T, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	made, err := kgo.NewClient(options(more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// limited gives a context that ends with the test or with our patience.
func limited(t *testing.T) context.Context {
	t.Helper()
	limit, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return limit
}

// topic creates a topic.
func topic(t *testing.T, on *kgo.Client, partitions int32) string {
	t.Helper()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = fresh("franz"), partitions, 1
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, wanted)
	answer, err := request.RequestWith(limited(t), on)
	if err != nil {
		t.Fatal(err)
	}
	if code := answer.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("creating a topic: error %d", code)
	}
	return wanted.Topic
}

// committed adds up the offsets that a group has committed for a topic.
func committed(t *testing.T, on *kgo.Client, group, topic string) (sum int64) {
	t.Helper()
	wanted := kmsg.NewOffsetFetchRequestGroup()
	wanted.Group = group
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group, request.Groups = group, append(request.Groups, wanted)
	answer, err := request.RequestWith(limited(t), on)
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range answer.Groups {
		if of.ErrorCode != 0 {
			t.Fatalf("offsets of %s: error %d", group, of.ErrorCode)
		}
		for _, found := range of.Topics {
			for _, partition := range found.Partitions {
				if found.Topic == topic {
					sum += partition.Offset
				}
			}
		}
	}
	return sum
}
