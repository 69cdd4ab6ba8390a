/**
 * Long work in pieces. Whoever runs it may let others have their turn between two of them; what it works on has to stay
 * as it is until the end, which a fork does.
 */
export type Steps<T> = Generator<undefined, T, void>;
