/* The functions of BLAS (netlib's C interface) that PyTorch takes from this framework. */
#ifndef TORCHLITE_ACCELERATE_H
#define TORCHLITE_ACCELERATE_H

#ifdef __cplusplus
extern "C" {
#endif

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 };

void cblas_sgemm(
    enum CBLAS_ORDER order,
    enum CBLAS_TRANSPOSE trans_a,
    enum CBLAS_TRANSPOSE trans_b,
    int m,
    int n,
    int k,
    float alpha,
    const float* a,
    int lda,
    const float* b,
    int ldb,
    float beta,
    float* c,
    int ldc);
void cblas_saxpy(int n, float alpha, const float* x, int inc_x, float* y, int inc_y);
void cblas_scopy(int n, const float* x, int inc_x, float* y, int inc_y);
void cblas_dgemm(
    enum CBLAS_ORDER order,
    enum CBLAS_TRANSPOSE trans_a,
    enum CBLAS_TRANSPOSE trans_b,
    int m,
    int n,
    int k,
    double alpha,
    const double* a,
    int lda,
    const double* b,
    int ldb,
    double beta,
    double* c,
    int ldc);
void cblas_daxpy(int n, double alpha, const double* x, int inc_x, double* y, int inc_y);
void cblas_dcopy(int n, const double* x, int inc_x, double* y, int inc_y);
void cblas_cgemm(
    enum CBLAS_ORDER order,
    enum CBLAS_TRANSPOSE trans_a,
    enum CBLAS_TRANSPOSE trans_b,
    int m,
    int n,
    int k,
    const void* alpha,
    const void* a,
    int lda,
    const void* b,
    int ldb,
    const void* beta,
    void* c,
    int ldc);
void cblas_caxpy(int n, const void* alpha, const void* x, int inc_x, void* y, int inc_y);
void cblas_ccopy(int n, const void* x, int inc_x, void* y, int inc_y);
void cblas_zgemm(
    enum CBLAS_ORDER order,
    enum CBLAS_TRANSPOSE trans_a,
    enum CBLAS_TRANSPOSE trans_b,
    int m,
    int n,
    int k,
    const void* alpha,
    const void* a,
    int lda,
    const void* b,
    int ldb,
    const void* beta,
    void* c,
    int ldc);
void cblas_zaxpy(int n, const void* alpha, const void* x, int inc_x, void* y, int inc_y);
void cblas_zcopy(int n, const void* x, int inc_x, void* y, int inc_y);

#ifdef __cplusplus
}
#endif

#endif
