import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import type { Reply } from '../../reply.js';
import type { FaceRequest } from '../faces.js';

/** From this minor version on answers that show something say that they are not to be kept. */
const SINCE = 15;

/** Of when something is cannot be told where it is put together for the answer: then it is of now, as Placement has it. */
@Injectable()
export class CacheHeaders implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const { method, microversion = 0 } = http.getRequest<FaceRequest & { readonly method: string }>();
    if (microversion < SINCE || !['GET', 'PUT'].includes(method)) return next.handle();
    const reply = http.getResponse<Reply>();
    return next.handle().pipe(
      tap(() => {
        reply.header('cache-control', 'no-cache');
        reply.header('last-modified', new Date().toUTCString());
      }),
    );
  }
}
