package ottla.conformance;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/** The admin client. */
final class Administration {
    private final Clients clients;

    Administration(Clients clients) {
        this.clients = clients;
    }

    /** A case that needs an admin client and a topic of its own. */
    private interface Body {
        void run(Admin admin, String topic) throws Exception;
    }

    private void run(Cases cases, String name, Body body) {
        cases.run(name, () -> {
            try (Admin admin = clients.admin()) {
                body.run(admin, Cases.topic("admin"));
            }
        });
    }

    void run(Cases cases) {
        run(cases, "create_describe_delete", this::createDescribeDelete);
        run(cases, "create_with_assignments", this::createWithAssignments);
        run(cases, "create_refused", this::createRefused);
        run(cases, "validate_only", this::validateOnly);
        run(cases, "create_partitions", this::createPartitions);
        run(cases, "delete_by_id", this::deleteById);
        run(cases, "topic_configs", this::topicConfigs);
        run(cases, "broker_configs", this::brokerConfigs);
        run(cases, "delete_records", this::deleteRecords);
        run(cases, "list_offsets", this::listOffsets);
        run(cases, "describe_cluster", this::describeCluster);
        run(cases, "describe_log_dirs", this::describeLogDirs);
        run(cases, "describe_producers", this::describeProducers);
        run(cases, "describe_quorum", this::describeQuorum);
        run(cases, "empty_answers", this::emptyAnswers);
    }

    private static void refused(Class<? extends Exception> expected, KafkaFuture<?> future) throws Exception {
        try {
            Clients.wait(future);
        } catch (ExecutionException problem) {
            Cases.equal(problem.getCause().getClass(), expected, "error " + problem.getCause());
            return;
        }
        throw new AssertionError("no " + expected.getSimpleName());
    }

    private static TopicDescription describe(Admin admin, String topic) throws Exception {
        return Clients.wait(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
    }

    private void createDescribeDelete(Admin admin, String topic) throws Exception {
        NewTopic made = new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "1000000"));
        var result = admin.createTopics(List.of(made));
        Uuid id = Clients.wait(result.topicId(topic));
        Cases.equal(Clients.wait(result.numPartitions(topic)), 3, "partitions of the answer");
        Cases.equal(Clients.wait(result.config(topic)).get("retention.ms").value(), "1000000", "config of the answer");
        Cases.eventually(() -> describe(admin, topic));
        TopicDescription described = describe(admin, topic);
        Cases.equal(described.topicId(), id, "id");
        Cases.equal(described.partitions().size(), 3, "partitions");
        Cases.equal(described.isInternal(), false, "internal");
        described.partitions().forEach(partition -> Cases.equal(partition.isr().size(), 1, "in-sync replicas"));
        Clients.wait(admin.deleteTopics(List.of(topic)).all());
        Cases.eventually(() -> refused(UnknownTopicOrPartitionException.class,
                admin.describeTopics(List.of(topic)).allTopicNames()));
        Uuid again = Clients.wait(admin.createTopics(List.of(made)).topicId(topic));
        Cases.equal(again.equals(id), false, "the id is used again");
    }

    private void createWithAssignments(Admin admin, String topic) throws Exception {
        int broker = Clients.wait(admin.describeCluster().nodes()).iterator().next().id();
        Map<Integer, List<Integer>> assignments = Map.of(0, List.of(broker), 1, List.of(broker));
        Clients.wait(admin.createTopics(List.of(new NewTopic(topic, assignments))).all());
        Cases.eventually(() -> Cases.equal(describe(admin, topic).partitions().size(), 2, "partitions"));
    }

    private void createRefused(Admin admin, String topic) throws Exception {
        Function<NewTopic, KafkaFuture<?>> create = made -> admin.createTopics(List.of(made)).all();
        NewTopic made = new NewTopic(topic, 1, (short) 1);
        Clients.wait(create.apply(made));
        refused(TopicExistsException.class, create.apply(made));
        refused(InvalidTopicException.class, create.apply(new NewTopic("not a name!", 1, (short) 1)));
        refused(InvalidTopicException.class, create.apply(new NewTopic("x".repeat(250), 1, (short) 1)));
        refused(InvalidPartitionsException.class, create.apply(new NewTopic(Cases.topic("none"), 0, (short) 1)));
        refused(InvalidReplicationFactorException.class, create.apply(new NewTopic(Cases.topic("many"), 1, (short) 3)));
        for (Map<String, String> wrong : List.of(Map.of("no.such.key", "1"), Map.of("retention.ms", "soon"))) {
            NewTopic bad = new NewTopic(Cases.topic("config"), 1, (short) 1).configs(wrong);
            refused(InvalidConfigurationException.class, create.apply(bad));
        }
    }

    private void validateOnly(Admin admin, String topic) throws Exception {
        var options = new CreateTopicsOptions().validateOnly(true);
        var result = admin.createTopics(List.of(new NewTopic(topic, Optional.empty(), Optional.empty())), options);
        Clients.wait(result.all());
        Cases.equal(Clients.wait(admin.listTopics().names()).contains(topic), false, "made");
    }

    private void createPartitions(Admin admin, String topic) throws Exception {
        clients.create(topic, 2);
        Clients.wait(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        Cases.eventually(() -> Cases.equal(describe(admin, topic).partitions().size(), 5, "partitions"));
        refused(InvalidPartitionsException.class,
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        refused(UnknownTopicOrPartitionException.class,
                admin.createPartitions(Map.of(Cases.topic("unknown"), NewPartitions.increaseTo(5))).all());
    }

    private void deleteById(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        Uuid id = describe(admin, topic).topicId();
        TopicCollection ids = TopicCollection.ofTopicIds(List.of(id));
        Clients.wait(admin.deleteTopics(ids).all());
        refused(UnknownTopicIdException.class, admin.deleteTopics(ids).all());
        Cases.equal(Clients.wait(admin.listTopics().names()).contains(topic), false, "listed");
    }

    private static Config config(Admin admin, ConfigResource resource) throws Exception {
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        return Clients.wait(admin.describeConfigs(List.of(resource), options).all()).get(resource);
    }

    private static void alter(Admin admin, ConfigResource resource, String name, String value, AlterConfigOp.OpType type)
            throws Exception {
        Clients.wait(admin.incrementalAlterConfigs(change(resource, name, value, type)).all());
    }

    private static Map<ConfigResource, java.util.Collection<AlterConfigOp>> change(
            ConfigResource resource, String name, String value, AlterConfigOp.OpType type) {
        return Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(name, value), type)));
    }

    private void topicConfigs(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Cases.eventually(() -> config(admin, resource));
        ConfigEntry policy = config(admin, resource).get("cleanup.policy");
        Cases.equal(policy.value(), "delete", "default");
        Cases.equal(policy.isDefault(), true, "is a default");
        Cases.equal(policy.type(), ConfigEntry.ConfigType.LIST, "type");
        Cases.equal(policy.documentation() != null, true, "has a documentation");
        alter(admin, resource, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        Cases.eventually(() ->
                Cases.equal(config(admin, resource).get("cleanup.policy").value(), "delete,compact", "appended"));
        alter(admin, resource, "cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT);
        Cases.eventually(() ->
                Cases.equal(config(admin, resource).get("cleanup.policy").value(), "compact", "subtracted"));
        alter(admin, resource, "retention.ms", "5000", AlterConfigOp.OpType.SET);
        Cases.eventually(() -> Cases.equal(config(admin, resource).get("retention.ms").value(), "5000", "set"));
        ConfigEntry retention = config(admin, resource).get("retention.ms");
        Cases.equal(retention.source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
        alter(admin, resource, "retention.ms", null, AlterConfigOp.OpType.DELETE);
        Cases.eventually(() ->
                Cases.equal(config(admin, resource).get("retention.ms").value(), "604800000", "deleted"));
        refused(InvalidConfigurationException.class,
                admin.incrementalAlterConfigs(change(resource, "retention.ms", "soon", AlterConfigOp.OpType.SET)).all());
        ConfigResource unknown = new ConfigResource(ConfigResource.Type.TOPIC, Cases.topic("unknown"));
        refused(UnknownTopicOrPartitionException.class,
                admin.incrementalAlterConfigs(change(unknown, "retention.ms", "1", AlterConfigOp.OpType.SET)).all());
    }

    private void brokerConfigs(Admin admin, String topic) throws Exception {
        int broker = Clients.wait(admin.describeCluster().nodes()).iterator().next().id();
        ConfigResource one = new ConfigResource(ConfigResource.Type.BROKER, Integer.toString(broker));
        ConfigResource all = new ConfigResource(ConfigResource.Type.BROKER, "");
        Cases.equal(config(admin, one).get("node.id").value(), Integer.toString(broker), "node id");
        Cases.equal(config(admin, one).get("node.id").isReadOnly(), true, "read-only");
        alter(admin, all, "log.retention.ms", "77000", AlterConfigOp.OpType.SET);
        Cases.eventually(() -> Cases.equal(config(admin, all).get("log.retention.ms").value(), "77000", "set"));
        ConfigEntry altered = config(admin, all).get("log.retention.ms");
        Cases.equal(altered.source(), ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, "source");
        alter(admin, all, "log.retention.ms", null, AlterConfigOp.OpType.DELETE);
        Cases.eventually(() -> Cases.equal(config(admin, all).get("log.retention.ms"), null, "deleted"));
    }

    private void deleteRecords(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = clients.producer()) {
            Clients.send(producer, Clients.numbers(topic, 100));
        }
        var deleted = Clients.wait(admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(40))).lowWatermarks().get(place));
        Cases.equal(deleted.lowWatermark(), 40L, "low watermark");
        Clients.equalNumbers(clients.consume(topic, 40, 60), 40);
        refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(101))).all());
    }

    private void listOffsets(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = clients.producer()) {
            for (long time : new long[] {5, 9, 7}) {
                long stamp = 1_600_000_000_000L + time;
                producer.send(new org.apache.kafka.clients.producer.ProducerRecord<>(topic, 0, stamp, null, new byte[1]));
            }
        }
        Map<OffsetSpec, Long> expected = Map.of(OffsetSpec.earliest(), 0L, OffsetSpec.latest(), 3L,
                OffsetSpec.maxTimestamp(), 1L, OffsetSpec.forTimestamp(1_600_000_000_006L), 1L, OffsetSpec.earliestLocal(), 0L);
        for (var spec : expected.entrySet()) {
            var found = Clients.wait(admin.listOffsets(Map.of(place, spec.getKey())).all()).get(place);
            Cases.equal(found.offset(), spec.getValue(), spec.getKey().getClass().getSimpleName());
        }
    }

    private void describeCluster(Admin admin, String topic) throws Exception {
        var cluster = admin.describeCluster();
        var nodes = Clients.wait(cluster.nodes());
        Cases.equal(nodes.size(), 1, "nodes");
        var node = nodes.iterator().next();
        Cases.equal(node.host() + ":" + node.port(), clients.bootstrap, "address");
        Cases.equal(Clients.wait(cluster.clusterId()).isEmpty(), false, "cluster id is empty");
        Cases.equal(Clients.wait(cluster.controller()).id(), node.id(), "controller");
    }

    private void describeLogDirs(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        try (var producer = clients.producer()) {
            Clients.send(producer, Clients.numbers(topic, 100));
        }
        int broker = Clients.wait(admin.describeCluster().nodes()).iterator().next().id();
        var folders = Clients.wait(admin.describeLogDirs(List.of(broker)).allDescriptions()).get(broker);
        TopicPartition place = new TopicPartition(topic, 0);
        long size = folders.values().stream().filter(folder -> folder.replicaInfos().containsKey(place))
                .mapToLong(folder -> folder.replicaInfos().get(place).size()).sum();
        Cases.equal(size > 100, true, "size " + size);
        folders.values().forEach(folder -> Cases.equal(folder.totalBytes().orElse(0) > 0, true, "total bytes"));
    }

    private void describeProducers(Admin admin, String topic) throws Exception {
        clients.create(topic, 1);
        TopicPartition place = new TopicPartition(topic, 0);
        try (var producer = clients.producer("enable.idempotence", true)) {
            Clients.send(producer, Clients.numbers(topic, 7));
            var states = Clients.wait(admin.describeProducers(List.of(place)).all()).get(place).activeProducers();
            Cases.equal(states.size(), 1, "producers");
            Cases.equal(states.get(0).lastSequence(), 6, "last sequence");
        }
    }

    private void describeQuorum(Admin admin, String topic) throws Exception {
        var quorum = Clients.wait(admin.describeMetadataQuorum().quorumInfo());
        Cases.equal(quorum.voters().size(), 1, "voters");
        Cases.equal(quorum.leaderId(), quorum.voters().get(0).replicaId(), "leader");
    }

    private void emptyAnswers(Admin admin, String topic) throws Exception {
        Cases.equal(Clients.wait(admin.listPartitionReassignments().reassignments()).size(), 0, "reassignments");
        Cases.equal(Clients.wait(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()).size(), 0, "quotas");
        Cases.equal(Clients.wait(admin.describeUserScramCredentials().all()).size(), 0, "users");
        refused(SecurityDisabledException.class,
                admin.describeAcls(org.apache.kafka.common.acl.AclBindingFilter.ANY).values());
    }
}
