package ottla.vectors;

/** What a vector's message holds. */
enum Case {
    /** Nothing but defaults. */
    DEFAULT,
    /** Two elements in every array, every tagged field, all values distinct. */
    FILLED,
    /** As filled, with a tagged field in every flexible struct that no version of the protocol has. */
    UNKNOWN,
    /** Null wherever a null is allowed. */
    NULLS,
    /** Strings, bytes and arrays of numbers with lengths that take two bytes as a varint. */
    LONG,
    /** Numbers at the ends of their range, empty strings and bytes, arrays of one element. */
    EDGE;

    boolean showsValue() {
        return this == FILLED || this == NULLS;
    }
}
