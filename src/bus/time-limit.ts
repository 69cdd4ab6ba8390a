/**
 * The promise's own result, or after `ms` the error of `onTime`. The promise itself goes on; a later rejection of it
 * is not reported again.
 */
export async function withTimeLimit<T>(promise: Promise<T>, ms: number, onTime: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(onTime()), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
