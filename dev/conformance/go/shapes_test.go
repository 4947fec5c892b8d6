package conformance

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

// shapes gives one record of every kind that the format knows.
func shapes() []*kgo.Record {
	large := make([]byte, 1_000_000)
	for at := range large {
		large[at] = byte(at * 7 / 3)
	}
	headers := func(pairs ...string) (made []kgo.RecordHeader) {
		for at := 0; at < len(pairs); at += 2 {
			made = append(made, kgo.RecordHeader{Key: pairs[at], Value: []byte(pairs[at+1])})
		}
		return made
	}
	return []*kgo.Record{
		{Key: []byte("key"), Value: []byte("value")},
		{Value: []byte("no key")},
		{Key: []byte("tombstone")},
		{Key: []byte{}, Value: []byte{}},
		{Value: []byte("h"), Headers: headers("one", "1")},
		{Value: []byte("h"), Headers: headers("same", "1", "same", "2", "same", "1")},
		{Value: []byte("h"), Headers: headers("empty", "", "", "no name")},
		{Value: []byte("h"), Headers: []kgo.RecordHeader{{Key: "null"}}},
		{Key: []byte("large"), Value: large},
	}
}

// Records of every shape in batches of every codec come back as they were.
func TestShapes(t *testing.T) {
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender := client(t, kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond), kgo.ProducerBatchMaxBytes(1_040_000),
				kgo.RecordPartitioner(kgo.ManualPartitioner()))
			into, sent := topic(t, sender, 1), shapes()
			for number, record := range sent {
				record.Topic, record.Timestamp = into, time.UnixMilli(1_600_000_000_000+int64(number))
			}
			if err := sender.ProduceSync(limited(t), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			reader := client(t, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{into: {0: kgo.NewOffset().AtStart()}}))
			var found []*kgo.Record
			for len(found) < len(sent) {
				fetches := reader.PollFetches(limited(t))
				if err := fetches.Err(); err != nil {
					t.Fatal(err)
				}
				found = append(found, fetches.Records()...)
			}
			for number, record := range found {
				same(t, number, record, shapes()[number])
			}
		})
	}
}

func same(t *testing.T, number int, found, expected *kgo.Record) {
	t.Helper()
	if !equal(found.Key, expected.Key) || !equal(found.Value, expected.Value) || len(found.Headers) != len(expected.Headers) {
		t.Fatalf("record %d differs: key %q, headers %v, %d bytes", number, found.Key, found.Headers, len(found.Value))
	}
	for at, header := range found.Headers {
		if header.Key != expected.Headers[at].Key || !equal(header.Value, expected.Headers[at].Value) {
			t.Fatalf("record %d: header %d is %v", number, at, header)
		}
	}
	if found.Offset != int64(number) || found.Timestamp.UnixMilli() != 1_600_000_000_000+int64(number) {
		t.Fatalf("record %d: offset %d, time %v", number, found.Offset, found.Timestamp)
	}
}

// equal tells null from empty.
func equal(one, other []byte) bool {
	return (one == nil) == (other == nil) && bytes.Equal(one, other)
}
